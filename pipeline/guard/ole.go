package guard

import "encoding/binary"

const oleEntry = 128 // bytes of a directory entry, [MS-CFB] 2.6.1

// compound is a compound file ([MS-CFB]).
type compound struct {
	*view
	// shift is the binary logarithm of a sector's size.
	shift  uint
	mini   uint32 // first sector of the mini FAT
	cutoff int64  // streams smaller than this lie in the mini stream
	// entries are those of the directory, in its order.
	entries []byte
	// minis is the mini stream and its FAT, once they were read.
	minis *[2][]byte
	// beyond: what was asked for lies behind the bounds of reading.
	beyond bool
}

// lastSector is the greatest number of a sector ([MS-CFB] 2.1).
const lastSector = 0xFFFFFFFA

// openCompound reads header and directory, wherever its sectors lie. ok is false
// where the file does not hold them.
func openCompound(v *view) (c *compound, ok bool) {
	if len(v.head) < 512 {
		return nil, false
	}
	shift := uint(binary.LittleEndian.Uint16(v.head[30:]))
	if shift != 9 && shift != 12 {
		return nil, false
	}
	c = &compound{view: v, shift: shift, mini: binary.LittleEndian.Uint32(v.head[60:]), cutoff: int64(binary.LittleEndian.Uint32(v.head[56:]))}
	if c.cutoff == 0 {
		c.cutoff = 4096
	}
	first := binary.LittleEndian.Uint32(v.head[48:])
	whole := c.chain(first, DirectoryLimit, func(b []byte) bool {
		c.entries = append(c.entries, b...)
		return true
	})
	if c.beyond {
		return c, true
	}
	return c, whole && len(c.entries) >= oleEntry && c.entries[66] == 5
}

// sector gives the bytes of a sector; the last one of a file may be cut.
func (c *compound) sector(n uint32) []byte {
	b := c.at((int64(n)+1)<<c.shift, 1<<c.shift)
	if b == nil && c.over {
		c.beyond = true
	}
	return b
}

// next gives the sector that follows n by the FAT.
func (c *compound) next(n uint32) (uint32, bool) {
	per := uint32(1) << (c.shift - 2)
	index := n / per
	var fat uint32
	if index < 109 {
		at := 76 + 4*int(index)
		if at+4 > len(c.head) {
			return 0, false
		}
		fat = binary.LittleEndian.Uint32(c.head[at:])
	} else {
		// Sectors of the DIFAT hold the rest, and the number of the next in their
		// last place.
		index -= 109
		at := binary.LittleEndian.Uint32(c.head[68:])
		for ; index >= per-1; index -= per - 1 {
			b := c.sector(at)
			if len(b) < 1<<c.shift {
				return 0, false
			}
			at = binary.LittleEndian.Uint32(b[len(b)-4:])
		}
		b := c.sector(at)
		if len(b) < 4*int(index)+4 {
			return 0, false
		}
		fat = binary.LittleEndian.Uint32(b[4*index:])
	}
	if fat > lastSector {
		return 0, false
	}
	b := c.sector(fat)
	place := 4 * int(n%per)
	if len(b) < place+4 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[place:]), true
}

// chain visits the sectors that follow each other from n on, as far as limit
// bytes. It gives false where they do not come to their end.
func (c *compound) chain(n uint32, limit int64, visit func([]byte) bool) bool {
	for seen := int64(0); n <= lastSector; seen += 1 << c.shift {
		if seen >= limit {
			c.beyond = true
			return false
		}
		b := c.sector(n)
		if b == nil {
			return false
		}
		if !visit(b) {
			return true
		}
		following, ok := c.next(n)
		if !ok || following == n {
			return false
		}
		n = following
	}
	return true
}

// stream gives the first bytes of an entry's stream, at most limit. What cannot
// be read is left out.
func (c *compound) stream(e []byte, limit int64) []byte {
	if len(e) < oleEntry {
		return nil
	}
	start, size := binary.LittleEndian.Uint32(e[116:]), int64(binary.LittleEndian.Uint32(e[120:]))
	limit = min(limit, size)
	if limit <= 0 {
		return nil
	}
	beyond := c.beyond
	defer func() { c.beyond = beyond }() // of a stream less is enough
	if size < c.cutoff {
		return c.small(start, limit)
	}
	return c.gather(start, limit)
}

func (c *compound) gather(start uint32, limit int64) []byte {
	var b []byte
	c.chain(start, limit, func(s []byte) bool {
		b = append(b, s...)
		return int64(len(b)) < limit
	})
	return b[:min(int64(len(b)), limit)]
}

// small reads a stream from the mini stream, whose sectors are of 64 bytes.
func (c *compound) small(start uint32, limit int64) []byte {
	if c.minis == nil {
		const miniLimit = 256 << 10
		root := c.entries[:oleEntry]
		c.minis = &[2][]byte{
			c.gather(binary.LittleEndian.Uint32(root[116:]), min(miniLimit, int64(binary.LittleEndian.Uint32(root[120:])))),
			c.gather(c.mini, miniLimit/16),
		}
	}
	whole, fat := c.minis[0], c.minis[1]
	var b []byte
	for n := start; n <= lastSector && int64(len(b)) < limit; {
		at := int(n) * 64
		if at < 0 || at >= len(whole) {
			break
		}
		b = append(b, whole[at:min(at+64, len(whole))]...)
		if int(n)*4+4 > len(fat) || int(n)*4 < 0 {
			break
		}
		n = binary.LittleEndian.Uint32(fat[n*4:])
	}
	return b[:min(int64(len(b)), limit)]
}

// oleName gives the name of an entry in capitals, "?" for what is not ASCII.
func oleName(b []byte) string {
	n := min(int(binary.LittleEndian.Uint16(b[64:])), 64)
	var name []byte
	for i := 0; i+1 < n-1; i += 2 {
		c := b[i]
		switch {
		case b[i+1] != 0:
			c = '?'
		case 'a' <= c && c <= 'z':
			c -= 0x20
		}
		name = append(name, c)
	}
	return string(name)
}

// top gives the entries directly below the root by their names, so that a
// document inside another does not speak for it.
func (c *compound) top() map[string][]byte {
	found := map[string][]byte{}
	visited := map[uint32]bool{}
	todo := []uint32{binary.LittleEndian.Uint32(c.entries[76:])}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visited[id] || int64(id) >= int64(len(c.entries)/oleEntry) {
			continue
		}
		visited[id] = true
		e := c.entries[int(id)*oleEntry:][:oleEntry]
		if e[66] == 0 || e[66] > 5 {
			continue
		}
		found[oleName(e)] = e
		todo = append(todo, binary.LittleEndian.Uint32(e[68:]), binary.LittleEndian.Uint32(e[72:]))
	}
	return found
}

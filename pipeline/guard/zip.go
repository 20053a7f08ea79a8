package guard

import (
	"bytes"
	"encoding/binary"
)

const (
	endSize   = 22 // of a zip's end record without its comment
	entrySize = 46 // of a central directory entry without its name
)

var endSignature = []byte("PK\x05\x06")

// directory is the part of a zip's central directory that is seen (APPNOTE
// 6.3.10, 4.3.12 and 4.3.16).
type directory struct {
	entries []byte
	// complete: all entries are seen.
	complete bool
	// shifted: the entries are not where the end record places them, so that
	// two readers may read two archives.
	shifted bool
}

// findDirectory looks for the end record of a zip in tail, last one first. It
// believes one whose numbers agree with each other, with its place and with
// the entries before it: the four letters of the signature occur by chance.
func findDirectory(tail []byte, at int64) (directory, bool) {
	// Most files have none, which a search forward finds out faster.
	if !bytes.Contains(tail, endSignature) {
		return directory{}, false
	}
	var c *chains
	for end := len(tail); ; {
		pos := bytes.LastIndex(tail[:end], endSignature)
		if pos < 0 {
			return directory{}, false
		}
		if size, offset, before, ok := endRecord(tail, at, pos); ok {
			if c == nil {
				c = chainsOf(tail)
			}
			if d, ok := c.directory(before, size); ok {
				d.shifted = offset+size != at+int64(before)
				return d, true
			}
		}
		end = pos
	}
}

// endRecord reads the end record at tail[pos]: the size of the entries, their
// offset in the file, and where in tail they end.
func endRecord(tail []byte, at int64, pos int) (size, offset int64, end int, ok bool) {
	b := tail[pos:]
	if len(b) < endSize {
		return 0, 0, 0, false
	}
	disk, first := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
	here, total := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint16(b[10:])
	size = int64(binary.LittleEndian.Uint32(b[12:]))
	offset = int64(binary.LittleEndian.Uint32(b[16:]))
	comment := int(binary.LittleEndian.Uint16(b[20:]))
	if here != total || disk != first || endSize+comment > len(b) {
		return 0, 0, 0, false
	}
	end = pos
	if total == 0xFFFF || size == 0xFFFFFFFF || offset == 0xFFFFFFFF {
		// Zip64: its own record (of 56 bytes) and locator lie between, and the
		// record holds the size.
		end = pos - 20 - 56
		if end < 0 || !bytes.HasPrefix(tail[pos-20:], []byte("PK\x06\x07")) || !bytes.HasPrefix(tail[end:], []byte("PK\x06\x06")) {
			return 0, 0, 0, false
		}
		wide, place := binary.LittleEndian.Uint64(tail[end+40:]), binary.LittleEndian.Uint64(tail[end+48:])
		if limit := uint64(at) + uint64(end); wide > limit || place > limit {
			return 0, 0, 0, false
		}
		size, offset = int64(wide), int64(place)
	}
	return size, offset, end, size >= entrySize && offset+size <= at+int64(end)
}

// chains knows of every entry in tail where the entries that follow it without
// a gap end, so that a file full of end records costs no more than another.
type chains struct {
	tail []byte
	ends map[int]int
	// first gives the first entry of those that end at a place.
	first map[int]int
}

func chainsOf(tail []byte) *chains {
	c := &chains{tail: tail, ends: map[int]int{}, first: map[int]int{}}
	for to := len(tail); ; {
		i := bytes.LastIndex(tail[:to], []byte("PK\x01\x02"))
		if i < 0 {
			return c
		}
		to = i
		length, ok := entryLength(tail[i:])
		if !ok {
			continue
		}
		end := i + length
		if further, ok := c.ends[end]; ok {
			end = further
		}
		c.ends[i], c.first[end] = end, i
	}
}

// directory gives the entries of size bytes in all that end at tail[end], or
// those of them that are seen. Entries right before them are taken for theirs,
// since some readers go by the offset alone.
func (c *chains) directory(end int, size int64) (directory, bool) {
	if size <= int64(end) {
		start := end - int(size)
		if c.ends[start] != end {
			return directory{}, false
		}
		return directory{entries: c.tail[c.first[end]:end], complete: true}, true
	}
	start, ok := c.first[end]
	if !ok {
		return directory{}, false
	}
	return directory{entries: c.tail[start:end]}, true
}

// entryLength gives the length of the entry that b starts with.
func entryLength(b []byte) (int, bool) {
	if len(b) < entrySize || !bytes.HasPrefix(b, []byte("PK\x01\x02")) {
		return 0, false
	}
	n := entrySize + int(binary.LittleEndian.Uint16(b[28:])) + int(binary.LittleEndian.Uint16(b[30:])) + int(binary.LittleEndian.Uint16(b[32:]))
	return n, n <= len(b)
}

type entry struct {
	name      []byte
	encrypted bool
}

// walk calls visit for every entry in b.
func walk(b []byte, visit func(entry)) {
	for {
		n, ok := entryLength(b)
		if !ok {
			return
		}
		name := int(binary.LittleEndian.Uint16(b[28:]))
		visit(entry{name: b[entrySize : entrySize+name], encrypted: b[8]&1 != 0})
		b = b[n:]
	}
}

// signatures are those of archives that are too long to occur by chance.
var signatures = [][]byte{
	[]byte("Rar!\x1a\x07\x00"), []byte("Rar!\x1a\x07\x01\x00"), []byte("7z\xbc\xaf\x27\x1c"), []byte("MSCF\x00\x00\x00\x00"), []byte("\xfd7zXZ\x00"),
}

// hidesArchive tells whether an archive lies inside or behind the file, as far
// as head and tail reach.
func (v *view) hidesArchive() bool {
	if _, ok := findDirectory(v.tail, v.at); ok {
		return true
	}
	for _, s := range signatures {
		if v.has(s) {
			return true
		}
	}
	return false
}

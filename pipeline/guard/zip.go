package guard

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
)

const (
	endSize   = 22 // of a zip's end record without its comment
	entrySize = 46 // of a central directory entry without its name
)

var endSignature = []byte("PK\x05\x06")

// directory is a zip's central directory (APPNOTE 6.3.10, 4.3.12 and 4.3.16).
type directory struct {
	entries []byte
	// shifted: the entries are not where the end record places them, so that
	// two readers may read two archives.
	shifted bool
	// at is the offset in the file that the offsets of entries count from.
	at int64
}

// endOf is what an end record says.
type endOf struct {
	// size is that of the entries, offset their place by the record, end where
	// they end in truth.
	size, offset, end int64
}

// endRecords calls visit for each end record in the tail whose numbers agree
// with each other and with its place, last one first, until it gives true: the
// four letters of the signature occur by chance.
func endRecords(tail []byte, at int64, visit func(endOf) bool) {
	if !bytes.Contains(tail, endSignature) {
		return // most files have none, which a search forward finds out faster
	}
	for end := len(tail); ; {
		pos := bytes.LastIndex(tail[:end], endSignature)
		if pos < 0 {
			return
		}
		if e, ok := endRecord(tail, at, pos); ok && visit(e) {
			return
		}
		end = pos
	}
}

// endRecord reads the end record at tail[pos].
func endRecord(tail []byte, at int64, pos int) (e endOf, ok bool) {
	b := tail[pos:]
	if len(b) < endSize {
		return endOf{}, false
	}
	disk, first := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
	here, total := binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint16(b[10:])
	e.size, e.offset = int64(binary.LittleEndian.Uint32(b[12:])), int64(binary.LittleEndian.Uint32(b[16:]))
	comment := int(binary.LittleEndian.Uint16(b[20:]))
	if here != total || disk != first || endSize+comment > len(b) {
		return endOf{}, false
	}
	end := pos
	if total == 0xFFFF || e.size == 0xFFFFFFFF || e.offset == 0xFFFFFFFF {
		// Zip64: its own record (of 56 bytes) and locator lie between, and the
		// record holds the size.
		end = pos - 20 - 56
		if end < 0 || !bytes.HasPrefix(tail[pos-20:], []byte("PK\x06\x07")) || !bytes.HasPrefix(tail[end:], []byte("PK\x06\x06")) {
			return endOf{}, false
		}
		wide, place := binary.LittleEndian.Uint64(tail[end+40:]), binary.LittleEndian.Uint64(tail[end+48:])
		if limit := uint64(at) + uint64(end); wide > limit || place > limit {
			return endOf{}, false
		}
		e.size, e.offset = int64(wide), int64(place)
	}
	e.end = at + int64(end)
	return e, e.size >= entrySize && e.offset+e.size <= e.end
}

// findDirectory gives the directory of a zip wherever it lies. beyond: it is
// larger than DirectoryLimit, or the bounds of reading are reached.
func (v *view) findDirectory() (d directory, found, beyond bool) {
	endRecords(v.tail, v.from, func(e endOf) bool {
		if e.size > DirectoryLimit {
			// Believed where its first entry is one.
			found = bytes.HasPrefix(v.at(e.end-e.size, 4), []byte("PK\x01\x02"))
			beyond = found
			return found
		}
		start := e.end - e.size
		b := v.at(start, e.size)
		if b == nil {
			beyond = v.over
			return beyond
		}
		if !wholeEntries(b) {
			return false
		}
		d, found = directory{entries: b, shifted: e.offset != start, at: start - e.offset}, true
		// Entries right before them are taken for theirs, since some readers go by
		// the offset alone.
		before := v.at(max(0, start-TailSize), min(start, TailSize))
		if first, ok := chainsOf(before).first[len(before)]; ok && bytes.Contains(before, []byte("PK\x01\x02")) {
			d.entries = append(bytes.Clone(before[first:]), b...)
			d.shifted = true
		}
		return true
	})
	return d, found, beyond
}

// wholeEntries reports whether b is entries without a gap.
func wholeEntries(b []byte) bool {
	for len(b) > 0 {
		n, ok := entryLength(b)
		if !ok {
			return false
		}
		b = b[n:]
	}
	return true
}

// chains knows of every entry in tail where the entries that follow it without
// a gap end, so that a file full of end records costs no more than another.
type chains struct {
	ends map[int]int
	// first gives the first entry of those that end at a place.
	first map[int]int
}

func chainsOf(tail []byte) *chains {
	c := &chains{ends: map[int]int{}, first: map[int]int{}}
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

// entryLength gives the length of the entry that b starts with.
func entryLength(b []byte) (int, bool) {
	if len(b) < entrySize || !bytes.HasPrefix(b, []byte("PK\x01\x02")) {
		return 0, false
	}
	n := entrySize + int(binary.LittleEndian.Uint16(b[28:])) + int(binary.LittleEndian.Uint16(b[30:])) + int(binary.LittleEndian.Uint16(b[32:]))
	return n, n <= len(b)
}

// entry is one of a zip's directory.
type entry struct {
	name      []byte
	encrypted bool
	method    uint16
	packed    int64
	offset    int64
}

// walk calls visit for every entry in b.
func walk(b []byte, visit func(entry)) {
	for {
		n, ok := entryLength(b)
		if !ok {
			return
		}
		name := int(binary.LittleEndian.Uint16(b[28:]))
		visit(entry{
			name: b[entrySize : entrySize+name], encrypted: b[8]&1 != 0, method: binary.LittleEndian.Uint16(b[10:]),
			packed: int64(binary.LittleEndian.Uint32(b[20:])), offset: int64(binary.LittleEndian.Uint32(b[42:])),
		})
		b = b[n:]
	}
}

const (
	// packedLimit is the most bytes of a part that are read, unpackedLimit the
	// most that they give.
	packedLimit   = 128 << 10
	unpackedLimit = 512 << 10
)

// content gives what a small part holds, as far as unpackedLimit; nil where it
// cannot be read.
func (v *view) content(d directory, e entry) []byte {
	const local = 30 // of a local header without its name (APPNOTE 4.3.7)
	h := v.at(d.at+e.offset, local)
	if len(h) < local || !bytes.HasPrefix(h, []byte("PK\x03\x04")) || e.packed > packedLimit || e.encrypted {
		return nil
	}
	skip := local + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	b := v.at(d.at+e.offset+skip, e.packed)
	switch e.method {
	case 0:
		return b
	case 8:
		r := flate.NewReader(bytes.NewReader(b))
		out, _ := io.ReadAll(io.LimitReader(r, unpackedLimit)) // what can be read of it
		return out
	}
	return nil
}

// signatures are those of archives that are too long to occur by chance.
var signatures = [][]byte{
	[]byte("Rar!\x1a\x07\x00"), []byte("Rar!\x1a\x07\x01\x00"), []byte("7z\xbc\xaf\x27\x1c"), []byte("MSCF\x00\x00\x00\x00"), []byte("\xfd7zXZ\x00"),
}

// hidesArchive reports whether an archive lies inside or behind the file, as far
// as head and tail reach.
func (v *view) hidesArchive(detected string) bool {
	var c *chains
	hidden := false
	endRecords(v.tail, v.from, func(e endOf) bool {
		if c == nil {
			c = chainsOf(v.tail)
		}
		end := int(e.end - v.from)
		if start := end - int(min(e.size, int64(end)+1)); start >= 0 {
			hidden = c.ends[start] == end
		} else {
			_, hidden = c.first[end]
		}
		return hidden
	})
	if hidden {
		return true
	}
	for _, s := range signatures {
		if v.has(s) && (detected != tiffType || s[0] != 0xfd) { // a picture's strips may be packed so
			return true
		}
	}
	return false
}

package guard

import (
	"bytes"
	"encoding/binary"
)

// view is as much of a file as Judge looks at.
type view struct {
	file     File
	declared string
	head     []byte
	// tail holds the last bytes of the file, or the range of an OLE directory,
	// and starts at offset at.
	tail []byte
	at   int64
	// text is the head as bytes of one-byte characters, its UTF-16 narrowed.
	text []byte
	kind string
}

func newView(f File) *view {
	if int64(len(f.Head)) > f.Size {
		f.Head = f.Head[:max(f.Size, 0)]
	}
	v := &view{file: f, declared: bare(f.Declared), head: f.Head[:min(len(f.Head), HeadSize)]}
	v.text = narrow(v.head)
	return v
}

// whole tells whether the head that was given is all of the file.
func (v *view) whole() bool { return int64(len(v.file.Head)) == v.file.Size }

// short tells whether less was given than the head.
func (v *view) short() bool { return int64(len(v.head)) < min(v.file.Size, HeadSize) }

// range2 is the second range that the rules look at: the last bytes, or the
// directory of an OLE document where the last bytes do not hold it.
func (v *view) range2() Range {
	size := v.file.Size
	at := max(0, size-TailSize)
	if dir, ok := oleDirectory(v.head); ok && dir < at {
		at = dir
	}
	return Range{Offset: at, Length: min(TailSize, size-at)}
}

// take fills the tail and tells whether the bytes for it are there.
func (v *view) take() bool {
	r := v.range2()
	switch {
	case v.whole():
		v.at, v.tail = r.Offset, v.file.Head[r.Offset:r.Offset+r.Length]
	case int64(len(v.file.Part)) == r.Length:
		v.at, v.tail = r.Offset, v.file.Part
	default:
		return false
	}
	return true
}

// cutBehind tells whether an offset that the file itself gives lies behind its
// end.
func (v *view) cutBehind(offset int64) bool { return offset >= v.file.Size }

// has tells whether what is seen of the file holds sep.
func (v *view) has(sep []byte) bool {
	return bytes.Contains(v.head, sep) || bytes.Contains(v.tail, sep)
}

// narrow gives UTF-16 text with a byte order mark as one byte a character,
// "?" for what does not fit, and everything else as it is. What has halves of
// surrogate pairs is no text.
func narrow(b []byte) []byte {
	if len(b) < 2 {
		return b
	}
	var order binary.ByteOrder
	switch {
	case b[0] == 0xFE && b[1] == 0xFF:
		order = binary.BigEndian
	case b[0] == 0xFF && b[1] == 0xFE && !bytes.HasPrefix(b, []byte{0xFF, 0xFE, 0, 0}):
		order = binary.LittleEndian
	default:
		return b
	}
	out := make([]byte, 0, len(b)/2)
	for i := 2; i+1 < len(b); i += 2 {
		switch u := order.Uint16(b[i:]); {
		case u < 0x100:
			out = append(out, byte(u))
		case u >= 0xDC00 && u < 0xE000, u == 0xFFFF, u == 0xFFFE:
			return b
		case u >= 0xD800 && u < 0xDC00:
			i += 2
			if i+1 < len(b) && order.Uint16(b[i:])>>10 != 0xDC00>>10 {
				return b
			}
			fallthrough
		default:
			out = append(out, '?')
		}
	}
	return out
}

package guard

import (
	"bytes"
	"encoding/binary"
)

// view is as much of a file as Judge looks at.
type view struct {
	file File
	window
	// job and store are what each says of the file's type.
	job, store statement
	head       []byte
	// text is the head as bytes of one-byte characters, its UTF-16 narrowed.
	text []byte
	// tail holds the last bytes of the file, or the last before the zeros that
	// pad it, and starts at offset from.
	tail []byte
	from int64
	// order is set where the text is UTF-16.
	order binary.ByteOrder
	// dropsCharset: the store's charset is not that of the bytes.
	dropsCharset bool
}

func newView(f File) *view {
	return &view{file: f, window: window{size: f.Size, read: f.Read}, job: state(f.Job), store: state(f.Store)}
}

// open reads the head; of a small file, all.
func (v *view) open() {
	n := int64(HeadSize)
	if v.size <= WholeSize {
		n = v.size
	}
	b := v.at(0, n)
	v.head = b[:min(len(b), HeadSize)]
	v.order = orderOf(v.head)
	if v.order == nil {
		switch charsets[v.stated().charset] {
		case isUTF16LE, isUTF16:
			v.order = binary.LittleEndian
		case isUTF16BE:
			v.order = binary.BigEndian
		}
	}
	v.text = narrow(v.head, v.order)
}

// stated is what the job says, or else the store.
func (v *view) stated() statement {
	if v.job.name != "" {
		return v.job
	}
	return v.store
}

// take reads the tail. Zeros behind the end are left out where padded.
func (v *view) take(padded bool) {
	end := v.size
	if padded {
		end = min(v.size, v.contentEnd()+endSize) // an end record ends in zeros
	}
	v.from = max(0, end-TailSize)
	v.tail = v.own(v.from, end-v.from)
}

// cutBehind reports whether an offset that the file itself gives lies behind
// its end.
func (v *view) cutBehind(offset int64) bool { return offset >= v.size }

// has reports whether what is seen of the file's start and end holds sep.
func (v *view) has(sep []byte) bool {
	return bytes.Contains(v.head, sep) || bytes.Contains(v.tail, sep)
}

// orderOf gives the byte order of UTF-16 by its mark.
func orderOf(b []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return binary.BigEndian
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}) && !bytes.HasPrefix(b, []byte{0xFF, 0xFE, 0, 0}):
		return binary.LittleEndian
	}
	return nil
}

// narrow gives UTF-16 as one byte a character, "?" for what does not fit, and
// everything else as it is. What has halves of characters is no text.
func narrow(b []byte, order binary.ByteOrder) []byte {
	if order == nil {
		return b
	}
	out := make([]byte, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		switch u := order.Uint16(b[i:]); {
		case u == 0xFEFF && i == 0:
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

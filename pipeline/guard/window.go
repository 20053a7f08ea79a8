package guard

import "bytes"

// The bounds of what is read of one file. They do not grow with the file.
const (
	// HeadSize is the number of first bytes that every file is judged by.
	HeadSize = 4096
	// TailSize is the number of last bytes that are looked at. A zip's end record
	// lies within the last 65,557 bytes (APPNOTE 6.3.10, 4.3.16: 22 bytes and a
	// comment of up to 65,535).
	TailSize = 66 << 10
	// WholeSize is the largest file that is read whole, at once.
	WholeSize = HeadSize + TailSize
	// ReadLimit is the most bytes that are read of one file in all.
	ReadLimit = 3 << 20
	// ReadsLimit is the most reads of one file.
	ReadsLimit = 64
	// TextLimit is the number of first bytes of a text that are held to be text.
	TextLimit = 1 << 20
	// DirectoryLimit is the most bytes of the directory of a container.
	DirectoryLimit = 1 << 20

	pageSize = 32 << 10
	// textStep is how many bytes of a text are read at once.
	textStep = 256 << 10
)

// Read gives length bytes of a file from offset on. Both lie inside of the file.
type Read func(offset, length int64) ([]byte, error)

// window shows parts of a file, and reads each of them once.
type window struct {
	size  int64
	read  Read
	pages []page
	spent int64
	reads int
	// over: more was asked for than the bounds allow.
	over bool
	// err is the first error of read; from then on nothing is shown.
	err error
}

// page is a part that was read.
type page struct {
	at   int64
	data []byte
}

// at gives length bytes from offset on, fewer at the end of the file; nil where
// the offset lies outside of the file, where the bounds are reached or the read
// failed.
func (w *window) at(offset, length int64) []byte {
	if offset < 0 || offset >= w.size || length <= 0 {
		return nil
	}
	length = min(length, w.size-offset)
	for _, p := range w.pages {
		if offset >= p.at && offset+length <= p.at+int64(len(p.data)) {
			return p.data[offset-p.at : offset-p.at+length : offset-p.at+length]
		}
	}
	from := offset &^ (pageSize - 1)
	to := min((offset+length+pageSize-1)&^(pageSize-1), w.size)
	if offset == 0 {
		from, to = 0, length // the head, or the whole of a small file
	}
	data := w.fetch(from, to-from)
	if data == nil {
		return nil
	}
	w.pages = append(w.pages, page{from, data})
	return data[offset-from : offset-from+length : offset-from+length]
}

// once gives what at gives, and keeps nothing of it.
func (w *window) once(offset, length int64) []byte {
	if offset < 0 || offset >= w.size || length <= 0 {
		return nil
	}
	length = min(length, w.size-offset)
	for _, p := range w.pages {
		if offset >= p.at && offset < p.at+int64(len(p.data)) {
			have := p.data[offset-p.at:]
			return have[:min(int64(len(have)), length)]
		}
	}
	return w.fetch(offset, length)
}

// own gives exactly this part, unlike at, which rounds to pages.
func (w *window) own(offset, length int64) []byte {
	if length <= 0 {
		return nil
	}
	for _, p := range w.pages {
		if offset >= p.at && offset+length <= p.at+int64(len(p.data)) {
			return p.data[offset-p.at : offset-p.at+length]
		}
	}
	data := w.fetch(offset, length)
	if data != nil {
		w.pages = append(w.pages, page{offset, data})
	}
	return data
}

func (w *window) fetch(offset, length int64) []byte {
	if w.err != nil {
		return nil
	}
	if w.spent+length > ReadLimit || w.reads == ReadsLimit {
		w.over = true
		return nil
	}
	w.spent, w.reads = w.spent+length, w.reads+1
	data, err := w.read(offset, length)
	if err == nil && int64(len(data)) != length {
		err = notRead()
	}
	if err != nil {
		w.err = err
		return nil
	}
	return data
}

// contentEnd gives the offset behind the last byte that is not zero: stores that
// keep files in fixed blocks, and programs in C, put zeros behind the end. It
// looks back as far as TextLimit.
func (w *window) contentEnd() int64 {
	end := w.size
	for end > 0 && w.size-end < TextLimit {
		from := max(0, end-TailSize)
		b := w.own(from, end-from)
		if b == nil {
			return w.size
		}
		if rest := bytes.TrimRight(b, "\x00"); len(rest) > 0 {
			return from + int64(len(rest))
		}
		end = from
	}
	return end
}

package archive

import (
	"encoding/binary"
	"math"
)

// reader reads numbers and bytes one after the other; the first that is not
// there sets err, and all further ones are empty.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail(errCut)
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) uint32() uint32 {
	n := r.uvarint()
	if n > math.MaxUint32 {
		r.fail(errFormat)
		return 0
	}
	return uint32(n)
}

func (r *reader) uint64() uint64 {
	b := r.take(8, 1)
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// take gives n times size bytes, without copying them.
func (r *reader) take(n, size uint64) []byte {
	if r.err != nil || n > uint64(len(r.rest))/size {
		r.fail(errCut)
		return nil
	}
	b := r.rest[:n*size]
	r.rest = r.rest[n*size:]
	return b
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

// end is the error of the reading; bytes that are left are one too.
func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return errFormat
	}
	return r.err
}

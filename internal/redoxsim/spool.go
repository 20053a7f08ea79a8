package redoxsim

import (
	"bytes"
	"errors"
	"io"
	"os"
)

var errNoBytes = errors.New("redoxsim: the bytes of this file are not here")

// Open reads the body as it arrived.
func (b Body) Open() (io.ReadCloser, error) {
	if b.Path == "" {
		return io.NopCloser(bytes.NewReader(b.mem)), nil
	}
	return os.Open(b.Path)
}

// Bytes reads the whole body into memory.
func (b Body) Bytes() ([]byte, error) { return readAll(b.Open) }

func openOr(open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	if open == nil {
		return nil, errNoBytes
	}
	return open()
}

func readAll(open func() (io.ReadCloser, error)) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

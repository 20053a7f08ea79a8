package redoxsim

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// inMemory is the largest body kept in memory when no Dir was configured.
const inMemory = 64 << 10

var errNoBytes = errors.New("redoxsim: the bytes of this file are not here")

// spool is the directory of arrived bytes.
type spool struct {
	dir       string
	temporary bool
}

// digests are the hashes of one stream: SHA-256 for the records, and for files
// SHA-1, because FHIR R4 defines Attachment.hash so.
type digests struct {
	size   int64
	sha256 hash.Hash
	sha1   hash.Hash
}

func newDigests() *digests { return &digests{sha256: sha256.New(), sha1: sha1.New()} }

// messageDigests leave out what only files need.
func messageDigests() *digests { return &digests{sha256: sha256.New()} }

func (d *digests) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	d.sha256.Write(p)
	if d.sha1 != nil {
		d.sha1.Write(p)
	}
	return len(p), nil
}

func (d *digests) hex() string { return hex.EncodeToString(d.sha256.Sum(nil)) }

// take stores what r yields and sums it up in d. On an error nothing is left
// behind.
func (sp *spool) take(r io.Reader, name string, d *digests) (Body, error) {
	r = io.TeeReader(r, d)
	var head bytes.Buffer
	if sp.temporary {
		if _, err := io.CopyN(&head, r, inMemory); errors.Is(err, io.EOF) {
			return Body{Size: d.size, SHA256: d.hex(), mem: head.Bytes()}, nil
		} else if err != nil {
			return Body{}, err
		}
	}
	path := filepath.Join(sp.dir, name+"-"+uuid.NewString())
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Body{}, err
	}
	_, err = io.Copy(f, io.MultiReader(&head, r))
	if err = errors.Join(err, f.Close()); err != nil {
		return Body{}, errors.Join(err, os.Remove(path))
	}
	return Body{Size: d.size, SHA256: d.hex(), Path: path}, nil
}

// drop forgets a body that was not accepted.
func (b Body) drop() {
	if b.Path != "" {
		_ = os.Remove(b.Path)
	}
}

// Open reads the body as it arrived.
func (b Body) Open() (io.ReadCloser, error) {
	if b.Path == "" {
		return io.NopCloser(bytes.NewReader(b.mem)), nil
	}
	return os.Open(b.Path)
}

// Bytes reads the whole body into memory.
func (b Body) Bytes() ([]byte, error) { return readAll(b.Open) }

// section reads a part of the body.
func (b Body) section(from, size int64) (io.ReadCloser, error) {
	if b.Path == "" {
		return io.NopCloser(bytes.NewReader(b.mem[from : from+size])), nil
	}
	f, err := os.Open(b.Path)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, from, size), f}, nil
}

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

package manifest

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// stored are the bytes of a manifest as they are kept, and their digest.
type stored struct {
	from io.Reader
	hash hash.Hash
	size int64
}

// Read implements io.Reader.
func (s *stored) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// text is the manifest decompressed, in UTF-8.
type text struct {
	stored *stored
	// buffer has the bytes as stored, and plain the same decompressed: it is buffer where
	// the manifest is not gzip.
	buffer, plain *bufio.Reader
	// utf8 is plain decoded.
	utf8 io.Reader
	// skipped tells that bytes were left out: there is no digest then.
	skipped bool
}

// ErrGzip is a manifest of which not all can be had.
var ErrGzip = errors.New("the manifest is gzip and its end is missing or broken")

// bufferSize is how much is read at once, in bytes.
const bufferSize = 64 << 10

// openText knows gzip by its first two bytes (RFC 1952), not by a name.
func openText(from io.Reader, e Encoding) (*text, error) {
	t := &text{stored: &stored{from: from, hash: sha256.New()}}
	t.buffer = bufio.NewReaderSize(t.stored, bufferSize)
	t.plain = t.buffer
	head, err := peek(t.buffer)
	if err != nil {
		return nil, err
	}
	if head == "\x1f\x8b" {
		zip, err := gzip.NewReader(t.buffer)
		if err != nil {
			return nil, ErrGzip
		}
		t.plain = bufio.NewReaderSize(unzipped{zip}, bufferSize)
	}
	t.utf8, err = decoded(t.plain, e)
	return t, err
}

// peek gives the first two bytes, or as many as there are.
func peek(from *bufio.Reader) (string, error) {
	head, err := from.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the manifest: %w", err)
	}
	return string(head), nil
}

// unzipped is what a gzip file holds. One that ends early is an error, and never a shorter
// manifest.
type unzipped struct{ zip *gzip.Reader }

// Read implements io.Reader.
func (u unzipped) Read(p []byte) (int, error) {
	n, err := u.zip.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) {
		err = ErrGzip
	}
	return n, err
}

// Read implements io.Reader.
func (t *text) Read(p []byte) (int, error) { return t.utf8.Read(p) }

// skip leaves out n bytes of UTF-8: by a seek where the manifest is stored as such and
// can.
func (t *text) skip(n int64) error {
	if n == 0 {
		return nil
	}
	t.skipped = true
	seeker, ok := t.stored.from.(io.Seeker)
	if t.utf8 != io.Reader(t.buffer) || !ok || n < int64(t.buffer.Buffered()) {
		if _, err := io.CopyN(io.Discard, t, n); err != nil {
			return fmt.Errorf("reading the manifest up to where to resume: %w", err)
		}
		return nil
	}
	if _, err := seeker.Seek(n-int64(t.buffer.Buffered()), io.SeekCurrent); err != nil {
		return fmt.Errorf("resuming the manifest: %w", err)
	}
	t.buffer.Reset(t.stored)
	return nil
}

// digest is the SHA-256 of the bytes as stored, in hex, once all were read; ""
// where some were left out.
func (t *text) digest() string {
	if t.skipped {
		return ""
	}
	return hex.EncodeToString(t.stored.hash.Sum(nil))
}

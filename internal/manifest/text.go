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

// text is the manifest decompressed.
type text struct {
	stored *stored
	buffer *bufio.Reader
	zip    *gzip.Reader
	// skipped tells that bytes were left out: there is no digest then.
	skipped bool
}

var (
	errUTF16 = errors.New("the manifest is UTF-16: save it as UTF-8")
	// ErrGzip is a manifest of which not all can be had.
	ErrGzip = errors.New("the manifest is gzip and its end is missing or broken")
)

// openText knows gzip by its first two bytes (RFC 1952), not by a name.
func openText(from io.Reader) (*text, error) {
	t := &text{stored: &stored{from: from, hash: sha256.New()}}
	t.buffer = bufio.NewReaderSize(t.stored, 64<<10)
	head, err := t.buffer.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	if string(head) != "\x1f\x8b" {
		return t, nil
	}
	if t.zip, err = gzip.NewReader(t.buffer); err != nil {
		return nil, ErrGzip
	}
	return t, nil
}

// Read implements io.Reader. A gzip file that ends early is an error, and never
// a shorter manifest.
func (t *text) Read(p []byte) (int, error) {
	if t.zip == nil {
		return t.buffer.Read(p)
	}
	n, err := t.zip.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) {
		err = ErrGzip
	}
	return n, err
}

// skip leaves out n bytes: by a seek where the manifest is plain and can.
func (t *text) skip(n int64) error {
	if n == 0 {
		return nil
	}
	t.skipped = true
	seeker, ok := t.stored.from.(io.Seeker)
	if t.zip != nil || !ok || n < int64(t.buffer.Buffered()) {
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

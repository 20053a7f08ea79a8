package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/chartpost/chartpost/internal/fault"
)

// Opener opens the job's file i at its first byte.
type Opener func(ctx context.Context, i int) (io.ReadCloser, error)

// Body streams m: exactly m.Size() bytes, or an error. The embedded files are
// opened one after the other, each when its place is reached; ctx is theirs.
// A file that is shorter or longer than announced fails before the byte that
// follows it, so that Content-Length is never met by a wrong body.
//
// Errors of open and of the files are returned as they are; a wrong length is
// a Retryable *fault.Fault with the code "file_size". Close ends the stream at
// any time, also while another goroutine is inside Read.
func Body(ctx context.Context, m *Message, open Opener) io.ReadCloser {
	return &body{ctx: ctx, m: m, open: open}
}

// blockSize is how many bytes of a file are encoded at once: a multiple of 3,
// so that only a file's last block is padded. Base64 makes 64 KiB of it.
const blockSize = 48 << 10

// blocks spares a new buffer for each small file. A buffer returns only from
// Read, never from Close, so that no other stream can get it while in use.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

type body struct {
	ctx  context.Context // of the stream: io.Reader has no other way to take it
	m    *Message
	open Opener

	part  int    // the next part to start
	ready []byte // bytes that were made and not yet taken
	spill [4]byte
	left  int64 // bytes of the open file still to come
	block *[blockSize]byte
	err   error // what every further Read answers

	mu     sync.Mutex // guards the two below against Close
	file   io.ReadCloser
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p)
	if err != nil {
		b.err = err
		b.release()
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.block != nil {
			n, err := b.encode(p)
			if n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// next starts the next part, or ends the stream after the last.
func (b *body) next() error {
	if b.isClosed() {
		return os.ErrClosed
	}
	if b.part == len(b.m.parts) {
		return io.EOF
	}
	part := b.m.parts[b.part]
	if part.Literal == nil {
		f, err := b.open(b.ctx, part.File)
		if err != nil {
			return err
		}
		if err := b.hold(f); err != nil {
			return errors.Join(err, f.Close())
		}
		b.left = b.m.sizes[b.part]
		b.block = blocks.Get().(*[blockSize]byte)
	}
	b.ready = part.Literal
	b.part++
	return nil
}

// encode puts base64 of the open file straight into p, or ends the file. When
// p is too short for four bytes they wait in ready.
func (b *body) encode(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.endFile()
	}
	n := min(b.left, blockSize, int64(max(len(p)/4, 1)*3))
	raw := b.block[:n]
	got, err := io.ReadFull(b.current(), raw)
	b.left -= int64(got)
	if err != nil {
		return 0, b.broken(err)
	}
	if len(p) < 4 {
		encoding.Encode(b.spill[:], raw)
		b.ready = b.spill[:]
		return 0, nil
	}
	encoding.Encode(p, raw)
	return encoding.EncodedLen(len(raw)), nil
}

// endFile makes sure that the file ends where it was said to. Reading on to
// its EOF also brings out an error that a checksum raises there.
func (b *body) endFile() error {
	n, err := io.ReadFull(b.current(), b.block[:1])
	switch {
	case n > 0:
		return b.wrongSize("the file is longer than the %d bytes announced; the next try reads it again", b.m.sizes[b.part-1])
	case err != io.EOF:
		return err
	}
	b.release()
	return b.drop()
}

func (b *body) broken(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		size := b.m.sizes[b.part-1]
		return b.wrongSize("the file ended after %d of the %d bytes announced; the next try reads it again", size-b.left, size)
	}
	return err
}

func (b *body) wrongSize(format string, sizes ...any) error {
	return &fault.Fault{
		Kind:  fault.Retryable,
		Scope: fault.Job,
		Code:  "file_size",
		Text:  fmt.Sprintf(format, sizes...),
		Path:  at("files").index(b.m.parts[b.part-1].File).String(),
	}
}

// release gives the buffer back. Only Read may call it.
func (b *body) release() {
	if b.block != nil {
		blocks.Put(b.block)
		b.block = nil
	}
}

func (b *body) current() io.Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return closedFile{}
	}
	return b.file
}

func (b *body) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *body) hold(f io.ReadCloser) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return os.ErrClosed
	}
	b.file = f
	return nil
}

// drop closes the open file, if there is one.
func (b *body) drop() error {
	b.mu.Lock()
	f := b.file
	b.file = nil
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

// Close closes the open file, which also ends a Read that waits for it.
func (b *body) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	return b.drop()
}

// closedFile stands in for a file that Close took away.
type closedFile struct{}

func (closedFile) Read([]byte) (int, error) { return 0, os.ErrClosed }

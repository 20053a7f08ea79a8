package redoxclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Body is a request body of known size that can be opened again for another
// attempt.
type Body struct {
	// Size is the exact number of bytes a reader of Open yields, at least 1.
	Size int64
	// Open starts at the first byte. A Read of what it returns must end when
	// ctx does. It is called once an attempt, after a token is at hand.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// PermittedAt is when the caller got the right to the request, for
	// Throttle.Sent; zero says nothing.
	PermittedAt time.Time
}

// Bytes is a Body in memory.
func Bytes(b []byte) Body {
	return Body{Size: int64(len(b)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// SizeError says that a body was not as long as announced. The request failed
// before its end was sent, so the server saw it cut off.
type SizeError struct {
	Announced int64
	// Got is the number of bytes the source gave; a source that goes on past
	// Announced is not read to its end, so Got is then Announced+1.
	Got int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("the body's source gave %d bytes, %d were announced", e.Got, e.Announced)
}

var errBodyClosed = errors.New("the request body is closed")

// stream is one opening of a Body on its way to the connection. It counts what
// was handed over, and it holds the last bytes back until the source has ended
// cleanly at the announced size: a source that is longer, or that fails at its
// end (a checksum), never completes a request.
type stream struct {
	src  io.ReadCloser
	size int64
	// moved is called after every read with whether the whole body was now
	// handed over.
	moved func(whole bool)
	// gate, if set, may keep the first byte back; its error ends the stream.
	gate func() error

	reads  sync.Mutex // held while the source is read
	mu     sync.Mutex // guards what follows
	given  int64      // bytes handed to the transport
	err    error      // the source's fault, sticky
	inRead bool
	closed bool
}

func (s *stream) Read(p []byte) (int, error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	if s.gate != nil {
		if err := s.gate(); err != nil {
			return 0, err
		}
		s.gate = nil
	}
	left, err := s.begin()
	if err != nil {
		return 0, err
	}
	if left == 0 {
		return 0, io.EOF
	}
	n, err := s.fill(p, left)
	s.end(n, err)
	if n > 0 {
		s.moved(int64(n) == left)
	}
	return n, err
}

// fill reads up to left bytes; the bytes that would complete the body are given
// only when the source has nothing after them. A panic of the source becomes the
// fault of the stream, which attempt.raise turns into a panic again.
func (s *stream) fill(p []byte, left int64) (n int, err error) {
	defer func() {
		if value := recover(); value != nil {
			n, err = 0, newSourcePanic(value)
		}
	}()
	n, err = s.src.Read(p)
	switch {
	case int64(n) > left:
		return 0, &SizeError{Announced: s.size, Got: s.size + 1}
	case int64(n) == left && err == nil:
		err = s.probeEnd()
	}
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return 0, err
	case int64(n) < left:
		return 0, &SizeError{Announced: s.size, Got: s.size - left + int64(n)}
	}
	return n, nil
}

// probeEnd gives io.EOF when the source has ended, else why it has not.
func (s *stream) probeEnd() error {
	var one [1]byte
	for range 100 {
		n, err := s.src.Read(one[:])
		if n > 0 {
			return &SizeError{Announced: s.size, Got: s.size + 1}
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (s *stream) begin() (left int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if s.closed {
		return 0, errBodyClosed
	}
	left = s.size - s.given
	s.inRead = left > 0
	return left, nil
}

func (s *stream) end(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inRead = false
	s.given += int64(n)
	s.err = err
}

// Close ends reading; the source is closed once no Read is in it. What the
// source says to that is dropped: the transport would take it for a failure to
// write, though every byte may have left.
func (s *stream) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return nil
	}
	s.reads.Lock()
	defer s.reads.Unlock()
	_ = s.src.Close() //nolint:errcheck // see above
	return nil
}

// state is how far the stream came: bytes handed over, the source's fault, and
// whether the source is being read at this moment.
func (s *stream) state() (given int64, inRead bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given, s.inRead, s.err
}

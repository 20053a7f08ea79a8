package s3source

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/chartpost/chartpost/internal/fault"
)

const (
	// resumes is how often a read is resumed without getting anywhere.
	resumes = 5
	// progress is how many bytes give a broken read its resumes back: a store
	// that yields a little and breaks, again and again, must end some time.
	progress = 64 << 10
	// longestWait is the longest wait before a read is resumed.
	longestWait = 5 * time.Second
)

type bodyReader = io.ReadCloser

// body yields the bytes of one pinned object, over as many requests as that
// takes. Two things end a request early, an error and a clean end before the
// size: both are a break, after which the next Read asks for the rest.
//
// It holds no buffer. Close may be called during a Read, as net/http does.
type body struct {
	source *Source
	// caller is the context of Open and reader a child that Close ends; an
	// io.Reader has no other place for them.
	caller, reader context.Context
	cancel         context.CancelFunc

	mu      sync.Mutex
	want    want
	current *request // nil after a break
	offset  int64
	gained  int64 // bytes since the last break
	left    int   // resumes left
	waits   *backoff.ExponentialBackOff
	err     error // of the last break, or for good once done
	done    bool
}

func newBody(ctx context.Context, s *Source) *body {
	b := &body{source: s, caller: ctx, left: resumes}
	b.reader, b.cancel = context.WithCancel(ctx)
	b.waits = backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(s.config.ResumeWait),
		backoff.WithMaxInterval(max(longestWait, s.config.ResumeWait)),
		backoff.WithMultiplier(2),
		backoff.WithMaxElapsedTime(0),
	)
	return b
}

// Read never gives io.EOF before the size of the object; its other errors are
// *fault.Fault and final.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return 0, b.err
	case b.offset == b.want.size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	p = p[:min(int64(len(p)), b.want.size-b.offset)]
	for {
		if b.current == nil {
			if err := b.resume(); err != nil {
				return 0, b.fail(err)
			}
		}
		n, err := b.current.Read(p)
		b.offset += int64(n)
		b.gained += int64(n)
		if b.offset == b.want.size {
			return b.finish(n, err)
		}
		if err != nil {
			b.broke(err)
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
}

// finish hands out the last bytes. With checksums they are held back until the
// SDK has compared, which it does at the end.
func (b *body) finish(n int, err error) (int, error) {
	if !b.source.config.ValidateChecksums {
		return n, nil
	}
	if err == nil {
		_, err = b.current.Read(make([]byte, 1))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, b.fail(b.ended(unverified.fault(err)))
	}
	return n, nil
}

func (b *body) broke(err error) {
	b.current.close()
	b.current, b.err = nil, err
}

// fail makes an error final.
func (b *body) fail(err error) error {
	b.done, b.err = true, err
	b.cancel()
	return err
}

// ended gives err, unless the caller's end or Close is behind it.
func (b *body) ended(err error) error {
	if b.caller.Err() != nil {
		return cut.fault(b.caller.Err())
	}
	if b.reader.Err() != nil {
		return closed.fault(nil)
	}
	return err
}

// resume opens the rest of the object, and gives up when the store says that
// it never will yield it or when nothing has moved for too many times.
func (b *body) resume() error {
	if b.gained >= progress {
		b.left = resumes
		b.waits.Reset()
	}
	b.gained = 0
	for {
		if b.reader.Err() != nil {
			return b.ended(closed.fault(nil))
		}
		if b.left == 0 {
			return judge(b.caller, b.err)
		}
		b.left--
		if !pause(b.reader, b.waits.NextBackOff()) {
			continue
		}
		_, next, err := b.open(b.want, b.offset)
		if err == nil {
			b.current = next
			return nil
		}
		if f := fault.Of(err); f.Kind != fault.Retryable || f.Code == protocol.code {
			return b.ended(err)
		}
		b.err = err
	}
}

// open starts one request, which the watchdog can end without ending the body.
func (b *body) open(w want, offset int64) (answer, *request, error) {
	ctx, cancel := context.WithCancel(b.reader)
	a, rest, err := b.source.get(ctx, w, offset)
	if err != nil {
		cancel()
		return answer{}, nil, err
	}
	return a, watch(rest, cancel, b.source.config.Stall), nil
}

// Close ends a Read that waits, and releases the connection.
func (b *body) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil {
		b.current.close()
		b.current = nil
	}
	if !b.done {
		b.done, b.err = true, closed.fault(nil)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

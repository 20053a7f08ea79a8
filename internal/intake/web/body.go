package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/chartpost/chartpost/internal/intake/access"
	"github.com/chartpost/chartpost/schemas"
)

// slowest is the average, in bytes a second, that a body must keep after the first
// stall: a caller that sends a byte now and then gives up its place.
const slowest = 16 << 10

// body reads a request's body in time: each read within stall, the whole before end, and
// no slower than slowest. It keeps to the caller's bytes per second.
type body struct {
	ctx   context.Context
	from  io.Reader
	conn  *http.ResponseController
	stall time.Duration
	end   time.Time
	// read is how many bytes came, and waited how long they were waited for. What this
	// process takes to go on reading is no slowness of the caller's.
	read   int64
	waited time.Duration
	caller string
	quotas *access.Quotas
}

// body gives the reader of a call; within 0 is without an end.
func (a *API) body(c *call, within time.Duration) *body {
	b := &body{ctx: c.r.Context(), from: c.r.Body, conn: http.NewResponseController(c.w), stall: a.settings.Stall, caller: c.grant.Caller, quotas: a.Quotas}
	if within > 0 {
		b.end = time.Now().Add(within)
	}
	return b
}

func (b *body) Read(p []byte) (int, error) {
	now := time.Now()
	deadline := now.Add(b.stall)
	if !b.end.IsZero() && b.end.Before(deadline) {
		deadline = b.end
	}
	if b.slow() || !now.Before(deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	// A server under test may have no deadlines; the real one has.
	_ = b.conn.SetReadDeadline(deadline)
	n, err := b.from.Read(p)
	b.read, b.waited = b.read+int64(n), b.waited+time.Since(now)
	if wait := b.quotas.Bytes(b.caller, n); wait > 0 {
		if !b.end.IsZero() {
			b.end = b.end.Add(wait)
		}
		select {
		case <-time.After(wait):
		case <-b.ctx.Done():
			return n, b.ctx.Err()
		}
	}
	return n, err
}

func (b *body) slow() bool {
	return b.stall > 0 && b.waited > b.stall && float64(b.read) < slowest*(b.waited-b.stall).Seconds()
}

// done takes the deadline off a body that was read to its end: the server reads on to
// notice when the caller goes away. One that was not keeps its deadline.
func (b *body) done(err error) {
	if err == nil {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
}

// linger is how long the rest of a body that is not wanted is read, so that the caller sees
// the answer. After that the connection ends.
const linger = time.Second

// held is a job in memory, counted to its caller.
type held struct {
	quotas *access.Quotas
	caller string
	size   int64
	buffer bytes.Buffer
}

// firstPart is what is counted before the first byte; more is counted as it comes.
const firstPart = 4 << 10

// fill reads a job. More than a job may have is an error before it is in memory.
func (h *held) fill(from io.Reader) ([]byte, error) {
	for {
		if err := h.grow(); err != nil {
			return nil, err
		}
		room := h.size - int64(h.buffer.Len())
		n, err := io.CopyN(&h.buffer, from, room)
		switch {
		case err == io.EOF: //nolint:errorlint // CopyN's own
			return h.buffer.Bytes(), nil
		case err != nil:
			return nil, err
		case n == room && h.buffer.Len() > schemas.MaxJobSize:
			return nil, tooLargeJob()
		}
	}
}

// grow counts twice as much, at most one byte more than a job may have.
func (h *held) grow() error {
	more := max(firstPart, h.size)
	more = min(more, schemas.MaxJobSize+1-h.size)
	if more <= 0 {
		return tooLargeJob()
	}
	if err := h.quotas.Hold(h.caller, more); err != nil {
		return err
	}
	h.size += more
	h.buffer.Grow(int(h.size) - h.buffer.Len())
	return nil
}

func (h *held) release() { h.quotas.Release(h.caller, h.size); h.size = 0 }

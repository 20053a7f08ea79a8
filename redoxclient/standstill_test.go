package redoxclient

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// stuck is a source that gives some bytes and then nothing until ctx ends.
func stuck(size, gives int64) Body {
	return Body{Size: size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(io.LimitReader(zeroReader{}, gives), ctxReader{ctx})), nil
	}}
}

type ctxReader struct{ ctx context.Context }

func (r ctxReader) Read([]byte) (int, error) { <-r.ctx.Done(); return 0, r.ctx.Err() }

func TestStandstill(t *testing.T) {
	// Longer than a busy machine needs to get to the point where it stands still.
	const still = 10 * time.Second
	quick := func(cfg *Config) { cfg.Timeouts.Stall, cfg.Timeouts.Continue = still, time.Millisecond }
	impatient := func(cfg *Config) { cfg.Timeouts.Answer = still }
	hang := func(whole bool, text string) string {
		done := make(chan struct{})
		url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, whole)
			_, _ = io.WriteString(conn, text)
			<-done
		})
		t.Cleanup(func() { close(done) }) // before the server waits for its handlers
		return url
	}
	half := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
	cases := map[string]struct {
		url          string
		body         Body
		change       func(*Config)
		send, upload Kind
		code         string
		where        Where
	}{
		"server stops reading":  {hang(false, ""), zeros(large), quick, Retryable, Retryable, CodeStalled, WhileSending},
		"source stops at once":  {hang(true, ""), stuck(10, 0), quick, Retryable, Retryable, CodeSourceStalled, BeforeSending},
		"source stops midway":   {hang(true, ""), stuck(10, 5), quick, Retryable, Retryable, CodeSourceStalled, WhileSending},
		"source lacks its end":  {hang(true, ""), stuck(10, 10), quick, Retryable, Retryable, CodeSourceStalled, BeforeSending},
		"no answer":             {hang(true, ""), zeros(10), impatient, UnknownOutcome, Retryable, CodeAnswerTimeout, WhileWaiting},
		"answer stops midway":   {hang(true, half), zeros(10), quick, UnknownOutcome, Retryable, CodeStalled, WhileReading},
		"answer takes for ever": {hang(true, half), zeros(10), impatient, UnknownOutcome, Retryable, CodeAnswerTimeout, WhileReading},
	}
	// All at once: they wait more than they work, and t.Parallel would let few begin.
	var all sync.WaitGroup
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			all.Go(func() {
				t.Run(name+" "+string(op), func(t *testing.T) {
					e := wantError(t, callOp(t.Context(), newClient(t, tc.url, tc.change), op, tc.body), kind, tc.code)
					where := tc.where
					if op == OpUploadBlob && tc.code == CodeSourceStalled {
						where = WhileSending // the form has begun
					}
					if e.Where != where {
						t.Errorf("where: got %q, want %q", e.Where, where)
					}
				})
			})
		}
	}
	all.Wait()
}

func TestCancellation(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	gone := errors.New("CANARY gone")
	arrived := make(chan bool, 1)
	half := "HTTP/1.1 200 OK\r\nLocation: \r\nContent-Length: 9\r\n\r\n{"
	hang := func(text string) string {
		done := make(chan struct{})
		url := serveRaw(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r, text != "-")
			if text != "-" {
				_, _ = io.WriteString(conn, text)
			}
			arrived <- true
			<-done
		})
		t.Cleanup(func() { close(done) })
		return url
	}
	cases := map[string]struct {
		url          string
		size         int64
		send, upload Kind
	}{
		"in the body":     {hang("-"), large, Interrupted, Interrupted},
		"after the body":  {hang(""), 10, UnknownOutcome, Interrupted},
		"in the answer":   {hang(half), 10, UnknownOutcome, Interrupted},
		"before anything": {nowhere, 10, Interrupted, Interrupted},
	}
	for name, tc := range cases {
		for _, op := range allOps {
			kind := either(op, tc.send, tc.upload)
			t.Run(name+" "+string(op), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				go func() {
					if tc.url != nowhere {
						<-arrived
					}
					cancel(gone)
				}()
				if tc.url == nowhere {
					<-ctx.Done()
				}
				err := callOp(ctx, newClient(t, tc.url, noExpect), op, zeros(tc.size))
				wantError(t, err, kind, CodeCancelled)
				if !errors.Is(err, gone) {
					t.Error("the caller's reason cannot be reached")
				}
			})
		}
	}
}

package s3source

import (
	"context"
	"sync/atomic"
	"time"
)

// request is the body of one GET. A Read of it that yields nothing for stall
// is cut off with errStalled. The clock runs only during a Read: a slow
// consumer is not the store's fault.
type request struct {
	body   bodyReader
	cancel context.CancelFunc
	stall  time.Duration
	timer  *time.Timer
	bitten atomic.Bool
}

func watch(body bodyReader, cancel context.CancelFunc, stall time.Duration) *request {
	r := &request{body: body, cancel: cancel, stall: stall}
	r.timer = time.AfterFunc(stall, func() {
		r.bitten.Store(true)
		cancel()
	})
	r.timer.Stop()
	return r
}

func (r *request) Read(p []byte) (int, error) {
	r.timer.Reset(r.stall)
	n, err := r.body.Read(p)
	r.timer.Stop()
	if err != nil && r.bitten.Load() {
		err = errStalled
	}
	return n, err
}

// close drops the connection unless the body was read to its end. Nothing that
// closing could say matters: the bytes are counted.
func (r *request) close() {
	r.timer.Stop()
	r.cancel()
	_ = r.body.Close()
}

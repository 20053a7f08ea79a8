package redoxclient

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	errStalled       = errors.New("nothing moved for the stall time")
	errSourceStalled = errors.New("the body's source gave nothing for the stall time")
	errAnswerTimeout = errors.New("no answer within the answer timeout")
	errAttemptOver   = errors.New("the attempt is over")
)

// watchdog cancels an attempt on lack of progress instead of on total time.
type watchdog struct {
	cancel context.CancelCauseFunc
	why    func(answering bool) error

	mu        sync.Mutex
	timer     *time.Timer
	limit     time.Duration
	answering bool
}

func newWatchdog(limit time.Duration, cancel context.CancelCauseFunc, why func(answering bool) error) *watchdog {
	w := &watchdog{cancel: cancel, why: why, limit: limit}
	w.timer = time.AfterFunc(limit, w.bite)
	return w
}

func (w *watchdog) bite() {
	w.mu.Lock()
	answering := w.answering
	w.mu.Unlock()
	w.cancel(w.why(answering))
}

// moved notes progress.
func (w *watchdog) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(w.limit)
}

// await changes the limit: answering is the wait for an answer's headers.
func (w *watchdog) await(limit time.Duration, answering bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.answering = limit, answering
	w.timer.Reset(limit)
}

func (w *watchdog) stop() { w.timer.Stop() }

// Package budget shares the requests that Redox takes from one egress address
// among all workers behind it.
//
// Redox counts requests in a rolling window for each address (Redox docs, "Rate
// limits"). The workers keep one record of what they spent in a store of
// compare-and-set, and no worker coordinates. Each takes permits ahead of need,
// spends them without asking anybody, and tells at its next exchange what it spent
// and when. Permits count against the window from before they can be used until
// a window after they can have arrived, so that no window of any phase holds
// more requests than the limit. docs/budget.md tells operators how it works.
package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Class is what a request is spent for.
type Class int

const (
	// Live may spend whatever is left of the window, at once.
	Live Class = iota
	// Backfill is spread evenly over the window and leaves a reserve.
	Backfill
)

// MostAtOnce is the most requests one Take asks for.
const MostAtOnce = 4

var (
	// ErrClosed ends every Take once Run has returned: what was left of the
	// permits has been given back.
	ErrClosed = errors.New("the request budget is closed")
	// ErrTooMany refuses a Take of no request, or of more than MostAtOnce.
	ErrTooMany = fmt.Errorf("a take is of 1 to %d requests", MostAtOnce)
)

// Settings say what is shared.
type Settings struct {
	// Requests is how many Redox is believed to take in a window; 0 turns the
	// budget off. What Redox states in X-RateLimit-Limit replaces it.
	Requests int
	// Most bounds what that header can raise the limit to; 0 is no bound. An
	// address shared with other programs needs it.
	Most int
	// Window is Redox's rolling window, the same for all workers of a scope.
	Window time.Duration
	// Reserve is the part of the limit, 0 to 0.9, that backfill leaves for live.
	Reserve float64
	// Worker names this run of this process; no other run ever has the name.
	Worker string
	// Travel is how long after its Take a request may reach Redox without being
	// told by Late. 0 is a second, or 1/200 of a shorter window.
	Travel time.Duration
}

// Store keeps the one record of a scope.
type Store interface {
	// Read gives the record, its revision, and when it was written by the
	// store's own clock. Revision 0 says that there is none. It may lag behind.
	Read(ctx context.Context) (value []byte, revision uint64, written time.Time, err error)
	// Write replaces the record of that revision, 0 for none, and gives the new
	// one. done is false when somebody was faster and nothing was written; an
	// error leaves open whether it was.
	Write(ctx context.Context, value []byte, revision uint64) (next uint64, done bool, err error)
}

// Budget is one worker's part. Its methods may be called from anywhere.
type Budget struct {
	rules  rules
	worker string
	store  Store
	now    func() time.Time
	jitter func() float64
	log    *slog.Logger
	// wake tells Run that something changed; changed tells the dispatcher.
	wake, changed chan struct{}

	mu       sync.Mutex
	waiters  waiters
	schedule schedule
	clock    storeClock
	// refusals tell whose limit a 429 is of.
	refusals refusals
}

// New makes a budget; it spends nothing before Run. now is the process's clock
// and must be monotonic, as time.Now is; jitter gives numbers of [0,1).
func New(settings Settings, store Store, now func() time.Time, jitter func() float64, log *slog.Logger) (*Budget, error) {
	switch {
	case settings.Requests < 0 || settings.Most < 0:
		return nil, errors.New("a request budget is not negative")
	case settings.Requests > mostBelieved:
		return nil, fmt.Errorf("a request budget is at most %d", mostBelieved)
	case settings.Window < time.Second || settings.Window > 24*time.Hour:
		return nil, errors.New("the window of the request budget is a second to a day")
	case !(settings.Reserve >= 0 && settings.Reserve <= 0.9):
		return nil, errors.New("the reserve of the request budget is 0 to 0.9 of it")
	case settings.Worker == "":
		return nil, errors.New("the request budget needs the worker's name")
	case settings.Travel < 0 || settings.Travel > settings.Window:
		return nil, errors.New("the travel time of the request budget is at most its window")
	}
	rules := rulesOf(settings)
	return &Budget{
		rules: rules, worker: settings.Worker, store: store, now: now, jitter: jitter, log: log,
		wake: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		clock: storeClock{base: now(), span: rules.valid / 4}, refusals: refusals{window: rules.window},
	}, nil
}

// off tells whether nothing is counted.
func (b *Budget) off() bool { return b.rules.requests == 0 }

// Take waits until n requests may be made and takes them; each must reach Redox
// within Settings.Travel, or be told by Late. It fails with what ended ctx,
// with ErrClosed, or with ErrTooMany. Takes of a class are served in their
// order, those of Live before those of Backfill.
func (b *Budget) Take(ctx context.Context, class Class, n int) error {
	if n < 1 || n > MostAtOnce {
		return ErrTooMany
	}
	if b.off() {
		return nil
	}
	b.mu.Lock()
	if b.waiters.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	w := b.waiters.wait(class, n)
	b.waiters.serve(b.now())
	b.mu.Unlock()
	b.stir()
	select {
	case <-w.served:
		return w.err
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters.leave(w) {
		b.waiters.serve(b.now()) // whoever stood behind it
		return ctx.Err()
	}
	return w.err // served in the same moment
}

// TryTake takes n requests if they may be made now and nobody waits for them.
func (b *Budget) TryTake(class Class, n int) bool {
	if n < 1 || n > MostAtOnce {
		return false
	}
	if b.off() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters.closed || b.waiters.available(class, b.now()) < n {
		return false
	}
	b.waiters.allowance.taken[class] += n
	b.stir()
	return true
}

// unlimited is what a budget that is off has available.
const unlimited = 1 << 30

// Available is how many requests of a class a TryTake would get now.
func (b *Budget) Available(class Class) int {
	if b.off() {
		return unlimited
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters.closed {
		return 0
	}
	return b.waiters.available(class, b.now())
}

// Want says that the caller has work for n more requests of a class, beside
// those that wait in Take, and could spend them within about a second. It
// stands until it is changed: while it does, permits are fetched, so say 0
// when no work is left.
func (b *Budget) Want(class Class, n int) {
	b.mu.Lock()
	b.waiters.want[class] = max(n, 0)
	b.mu.Unlock()
	b.stir()
}

// Changed gets a value when Available may have grown. One reader is served.
func (b *Budget) Changed() <-chan struct{} { return b.changed }

// Late says that n requests reached Redox, or set out, later than
// Settings.Travel after they were taken. They are counted a second time, at
// the time of this call.
func (b *Budget) Late(n int) {
	if n <= 0 {
		return
	}
	b.mu.Lock()
	b.waiters.allowance.late += n
	b.mu.Unlock()
	b.stir()
}

// Answer is what an answer of Redox said of the limit.
type Answer struct {
	// Limit is X-RateLimit-Limit; 0 when it did not say.
	Limit int
	// Refused: it was a 429. RetryAfter is what it asked for, if anything.
	Refused    bool
	RetryAfter time.Duration
	// Destination is whom a message was for; empty for a file and a token.
	Destination string
}

// Heard corrects the estimate by an answer of the API whose limit is counted, and
// rules whose limit it was where that was a refusal. It may be called for every
// answer: one that says nothing new costs nothing. A budget that is off rules all
// the same.
func (b *Budget) Heard(a Answer) Ruling {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ruling Ruling
	if a.Refused {
		ruling = b.refusals.judge(a, b.now())
		a.Refused, a.RetryAfter = !ruling.OfDestination, ruling.Wait
	}
	if !b.off() && b.waiters.hear(a, b.now(), b.rules) {
		b.stir()
	}
	return ruling
}

// stir makes Run look at what is due.
func (b *Budget) stir() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

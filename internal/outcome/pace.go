package outcome

import (
	"context"
	"sync"
	"time"

	"github.com/chartpost/chartpost/redoxclient"
)

// Budget is the shared count of requests.
type Budget interface {
	redoxclient.Throttle
	// Rate is how many requests a second Redox is believed to take.
	Rate() float64
	// Pressed reports whether others have work for the requests that are left.
	Pressed(ctx context.Context) bool
}

// Pace spreads the follower's requests evenly, so that they are at most a share of what
// Redox takes. It is a redoxclient.Throttle, and takes each request from the shared
// budget too, behind live deliveries.
type Pace struct {
	budget Budget
	share  float64
	now    func() time.Time

	mu   sync.Mutex
	next time.Time
	made int
}

// NewPace makes one that has saved nothing up.
func NewPace(budget Budget, share float64, now func() time.Time) *Pace {
	return &Pace{budget: budget, share: share, now: now}
}

// Take waits for the request's turn.
func (p *Pace) Take(ctx context.Context) error {
	if wait := p.turn(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return p.budget.Take(ctx)
}

// turn gives the next turn away, and how long it is until then.
func (p *Pace) turn() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.made++
	if rate := p.budget.Rate() * p.share; rate > 0 {
		p.next = at.Add(time.Duration(float64(time.Second) / rate))
	}
	return at.Sub(now)
}

// Made is how many requests had their turn.
func (p *Pace) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

// Sent implements redoxclient.Throttle.
func (p *Pace) Sent(after time.Duration) { p.budget.Sent(after) }

// Heard implements redoxclient.Throttle.
func (p *Pace) Heard(said redoxclient.LimitSaid) redoxclient.Ruling { return p.budget.Heard(said) }

// Behind is a Pace for the full sweep, which gives way to backfills: while others have
// work for the requests that are left, it makes one a minute.
type Behind struct {
	*Pace

	// Every is between two looks at the others (1 s), Patience the longest wait for
	// them (1 min).
	Every, Patience time.Duration
}

// Take waits until others need nothing, and then for the request's turn.
func (b Behind) Take(ctx context.Context) error {
	end := b.now().Add(b.Patience)
	for b.budget.Pressed(ctx) && b.now().Before(end) {
		timer := time.NewTimer(b.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	return b.Pace.Take(ctx)
}

package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// leases renews the lease of every delivery in hand.
type leases struct {
	log       *slog.Logger
	telemetry Telemetry
	// lasts is how long the server waits for a renewal.
	lasts time.Duration
	mu    sync.Mutex
	held  map[*lease]struct{}
}

// lease is one delivery in hand.
type lease struct {
	leases   *leases
	delivery Delivery
	// until is when the lease ends unless it is renewed.
	until atomic.Pointer[time.Time]
	// counted: its end without a renewal has been told of.
	counted bool
}

func newLeases(log *slog.Logger, lasts time.Duration, telemetry Telemetry) *leases {
	return &leases{log: log, telemetry: telemetry, lasts: lasts, held: map[*lease]struct{}{}}
}

func (l *leases) hold(d Delivery) *lease {
	one := &lease{leases: l, delivery: d}
	one.extend(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[one] = struct{}{}
	return one
}

// extend moves the end of a lease that has not ended yet. One that has is over
// for good: another worker may have the job.
func (one *lease) extend(now time.Time) {
	if until := one.until.Load(); until != nil && now.After(*until) {
		return
	}
	until := now.Add(one.leases.lasts)
	one.until.Store(&until)
}

// alive reports whether the server can still count the job as this worker's: a
// process that was frozen, or cut off from the server, finds out here.
func (one *lease) alive() bool { return !time.Now().After(*one.until.Load()) }

// release stops the renewal. It waits for one that is under way, so that none
// can follow the acknowledgement; releasing twice is harmless.
func (one *lease) release() {
	one.leases.mu.Lock()
	defer one.leases.mu.Unlock()
	delete(one.leases.held, one)
}

// run renews every lease each period until ctx ends.
func (l *leases) run(ctx context.Context, period time.Duration) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.renew()
		}
	}
}

// renew hands the renewals to the connection's buffer; it does not wait for the
// server.
func (l *leases) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	renewed, failed, lost, reason := 0, 0, 0, error(nil)
	for one := range l.held {
		if !one.alive() {
			if !one.counted {
				one.counted = true
				lost++
			}
			continue
		}
		now := time.Now()
		if err := one.delivery.Extend(); err != nil {
			failed, reason = failed+1, err
			continue
		}
		one.extend(now)
		renewed++
	}
	if l.telemetry != nil {
		l.telemetry.Leased(renewed, failed, lost)
	}
	if failed > 0 {
		l.log.Warn("leases could not be renewed", "leases", failed, "held", len(l.held), "error", reason)
	}
}

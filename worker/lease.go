package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// leases renews the lease of every delivery in hand.
type leases struct {
	log  *slog.Logger
	mu   sync.Mutex
	held map[*lease]struct{}
}

// lease is one delivery in hand.
type lease struct {
	leases   *leases
	delivery Delivery
}

func newLeases(log *slog.Logger) *leases {
	return &leases{log: log, held: map[*lease]struct{}{}}
}

func (l *leases) hold(d Delivery) *lease {
	one := &lease{leases: l, delivery: d}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[one] = struct{}{}
	return one
}

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
	failed, reason := 0, error(nil)
	for one := range l.held {
		if err := one.delivery.Extend(); err != nil {
			failed, reason = failed+1, err
		}
	}
	if failed > 0 {
		l.log.Warn("leases could not be renewed", "leases", failed, "held", len(l.held), "error", reason)
	}
}

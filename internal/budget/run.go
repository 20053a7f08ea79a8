package budget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

const (
	// tryTimeout bounds one exchange.
	tryTimeout = 3 * time.Second
	// mostTries is how often an exchange is begun again because others were faster.
	mostTries = 8
	// tryPause is before the second try, and doubles.
	tryPause = 5 * time.Millisecond
	// complainEvery is how often a store that stays away is logged.
	complainEvery = time.Minute
)

// errFaster is of an exchange during which another worker wrote the record.
var errFaster = errors.New("other workers were faster")

// Run exchanges the record whenever that is due, until ctx ends. Then it gives
// back what is left and turns away whoever waits: end ctx after the last
// request was made. A store that is away is tried again for ever; until it is
// back nothing is spent but what was granted before.
func (b *Budget) Run(ctx context.Context) {
	if b.off() {
		<-ctx.Done()
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		b.mu.Lock()
		now := b.now()
		at, due := b.schedule.due(&b.waiters, b.rules, now, b.jitter())
		b.mu.Unlock()
		if due && !at.After(now) {
			b.call(ctx)
			continue
		}
		var ring <-chan time.Time
		if due {
			timer.Reset(at.Sub(now))
			ring = timer.C
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-ring:
		}
	}
	b.close(ctx)
}

// close gives back what is left.
func (b *Budget) close(ctx context.Context) {
	b.mu.Lock()
	b.waiters.close()
	used, late := b.waiters.allowance.unreported()
	nothing := b.waiters.allowance.told.seq == 0 && len(b.waiters.allowance.doubtful) == 0 && used == [2]int{} && late == 0
	b.mu.Unlock()
	if !nothing {
		b.call(context.WithoutCancel(ctx))
	}
}

// call exchanges the record, serves those who wait, and logs what went wrong.
func (b *Budget) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := b.retry(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.schedule.last = now
	if err == nil {
		b.schedule.failures = 0
		b.tell(now)
		return
	}
	b.schedule.failures++
	b.complain(now, "the request budget's record cannot be reached or used; only what was granted is spent", "error", err)
}

// complain logs what may go on for long, once a minute.
func (b *Budget) complain(now time.Time, what string, details ...any) {
	if now.Sub(b.schedule.complained) < complainEvery {
		return
	}
	b.schedule.complained = now
	b.log.Warn(what, details...)
}

// tell serves those who wait, and tells the dispatcher when something is left.
func (b *Budget) tell(now time.Time) {
	b.waiters.serve(now)
	if b.waiters.available(Live, now)+b.waiters.available(Backfill, now) > 0 {
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
}

// retry tries an exchange until no other worker was faster. A worker that does not know
// what time it is at the store, and got too little, exchanges once more: its own
// write has told it.
func (b *Budget) retry(ctx context.Context) error {
	again := true
	for try := range mostTries {
		blind, err := b.exchange(ctx)
		switch {
		case err == nil && blind && again:
			again = false
			continue
		case !errors.Is(err, errFaster):
			return err
		}
		pause := time.NewTimer(time.Duration(float64(tryPause<<try) * (0.5 + b.jitter())))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return errFaster
}

// exchange reads the record, books in it what was spent, and takes permits.
func (b *Budget) exchange(ctx context.Context) (blind bool, err error) {
	value, revision, written, err := b.store.Read(ctx)
	if err != nil {
		return false, fmt.Errorf("reading it: %w", err)
	}
	b.mu.Lock()
	d, err := b.prepare(value, revision, written)
	b.mu.Unlock()
	if err != nil {
		return false, err
	}
	encoded, err := versioned.Encode(d.next)
	if err != nil {
		return false, fmt.Errorf("encoding it: %w", err)
	}
	sent := b.now()
	next, done, err := b.store.Write(ctx, encoded, revision)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return false, fmt.Errorf("writing it: %w", err)
	}
	if !done {
		b.waiters.allowance.failed(d.exchange.seq)
		return false, errFaster
	}
	b.schedule.wrote.revision, b.schedule.wrote.sent, b.schedule.wrote.confirmed = next, sent, b.now()
	b.took(d)
	return d.blind, nil
}

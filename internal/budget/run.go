package budget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
)

const (
	// tryTimeout bounds one visit.
	tryTimeout = 3 * time.Second
	// mostTries is how often a visit is begun anew because others were faster.
	mostTries = 8
	// tryPause is before the second try, and doubles.
	tryPause = 5 * time.Millisecond
	// complainEvery is how often a store that stays away is logged.
	complainEvery = time.Minute
)

// errFaster is of a visit during which another worker wrote the record.
var errFaster = errors.New("other workers were faster")

// Run visits the record whenever that is due, until ctx ends. Then it gives
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
		at, due := b.trip.due(&b.desk, b.rules, now, b.jitter())
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
	b.desk.close()
	used, late := b.desk.purse.unreported()
	nothing := b.desk.purse.told.seq == 0 && len(b.desk.purse.doubtful) == 0 && used == [2]int{} && late == 0
	b.mu.Unlock()
	if !nothing {
		b.call(context.WithoutCancel(ctx))
	}
}

// call visits the record, serves those who wait, and logs what went wrong.
func (b *Budget) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := b.insist(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.trip.last = now
	if err == nil {
		b.trip.failures = 0
		b.tell(now)
		return
	}
	b.trip.failures++
	b.complain(now, "the request budget's record cannot be reached or used; only what was granted is spent", "error", err)
}

// complain logs what may go on for long, once a minute.
func (b *Budget) complain(now time.Time, what string, details ...any) {
	if now.Sub(b.trip.complained) < complainEvery {
		return
	}
	b.trip.complained = now
	b.log.Warn(what, details...)
}

// tell serves those who wait, and tells the dispatcher when something is left.
func (b *Budget) tell(now time.Time) {
	b.desk.serve(now)
	if b.desk.available(Live, now)+b.desk.available(Backfill, now) > 0 {
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
}

// insist tries a visit until nobody was faster. A worker that does not know
// what time it is at the store, and got too little, visits once more: its own
// write has told it.
func (b *Budget) insist(ctx context.Context) error {
	again := true
	for try := range mostTries {
		blind, err := b.visit(ctx)
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

// visit reads the record, books in it what was spent, and takes permits.
func (b *Budget) visit(ctx context.Context) (blind bool, err error) {
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
		b.desk.purse.failed(d.visit.seq)
		return false, errFaster
	}
	b.trip.wrote.revision, b.trip.wrote.sent, b.trip.wrote.confirmed = next, sent, b.now()
	b.took(d)
	return d.blind, nil
}

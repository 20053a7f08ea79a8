package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// follow keeps the book.
func (f *Feeder) follow(ctx context.Context, caught chan<- struct{}) error {
	return f.Events.Follow(ctx, f.Run.ID, f.lease.record.Events, f.Run.StartedAt.Add(-clockSlack),
		func() bool { close(caught); return true },
		func(sequence uint64, event *schemas.Event) { f.book.tell(sequence, event) })
}

// renew renews the lease and writes what has changed of the book.
func (f *Feeder) renew(ctx context.Context) error {
	tick := time.NewTicker(min(renewEvery, f.Lease/5))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := f.save(ctx); err != nil {
			return lostOr(err)
		}
	}
}

// save writes the book and what the record says of it.
func (f *Feeder) save(ctx context.Context) error {
	ctx, cancel := linger(ctx)
	defer cancel()
	return f.write(ctx, func(*Checkpoint) {})
}

// write writes the book first: what the record says is in it must be in it. Only a
// feeder that was silent for long finds out before whether the run is still its.
func (f *Feeder) write(ctx context.Context, edit func(*Checkpoint)) error {
	if err := f.lease.confirm(ctx); err != nil {
		return err
	}
	seen := f.book.seen()
	err := f.book.save(ctx, f.Bucket)
	if errors.Is(err, ErrChanged) {
		err = f.reclaim(ctx)
	}
	if err != nil {
		return err
	}
	return f.lease.write(ctx, func(c *Checkpoint) {
		c.Events, c.Tally = max(seen, c.Events), f.book.Tally(f.Current())
		c.PerSecond, c.Opens = f.step(time.Now(), c.Tally), f.Opens()
		edit(c)
	})
}

// step takes in how far the run is, and gives its pace. What ended before this feeder had
// caught up is not its pace.
func (f *Feeder) step(now time.Time, t Tally) float64 {
	if !f.book.attached() {
		return 0
	}
	return f.work.pace.step(now, t.Ended())
}

// PerSecond is how many lines have ended in a second, over the last minute: the number that
// is in the run's record.
func (f *Feeder) PerSecond() float64 { return f.work.pace.read() }

// reclaim writes the book over that of a feeder which lost the run and was frozen
// just before it wrote: what that one knew is known here too.
func (f *Feeder) reclaim(ctx context.Context) error {
	if err := f.lease.write(ctx, func(*Checkpoint) {}); err != nil {
		return err
	}
	if err := f.book.adopt(ctx, f.Bucket); err != nil {
		return err
	}
	return f.book.save(ctx, f.Bucket)
}

// lingerTime is how long a stop leaves what is on its way to be confirmed: a write
// that is given up may have been stored, and would then look like another's.
const lingerTime = 4 * time.Second

// linger gives a context that ends a little after ctx, with its cause.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lingerTime, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(nil) }
}

func lostOr(err error) error {
	if errors.Is(err, ErrChanged) {
		return ErrLost
	}
	return err
}

// obey follows what operators want.
func (f *Feeder) obey(ctx context.Context) error {
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		run, _, err := LoadRun(ctx, f.Bucket, f.Run.ID)
		if err != nil {
			return err
		}
		if was := f.state.Swap(run.State); was != run.State {
			f.Say(fmt.Sprintf("the run is %s, by %s", run.State, run.By))
			f.book.stir()
		}
	}
}

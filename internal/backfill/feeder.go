package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/manifest"
)

// Opened is a manifest about to be read.
type Opened struct {
	Reader *manifest.Reader
	Recipe *manifest.Recipe
	io.Closer
}

// Ports are the servers that a feeder uses.
type Ports struct {
	Bucket Bucket
	Queue  Queue
	Ledger Ledger
	Events Events
}

// Limits bound what a feeder has published and has not ended.
type Limits struct {
	// Outstanding are all jobs, PerLane those of one destination.
	Outstanding, PerLane int64
	// Failures pauses the run after too many failed jobs.
	Failures FailureLimit
	// Pilot pauses the run when so many of its jobs were published; 0 is never.
	Pilot int64
	// Windows are when jobs are fed.
	Windows Windows
	// Lease is how long another feeder waits for this one; 0 is DefaultLease.
	Lease time.Duration
}

// Feeder feeds one run.
type Feeder struct {
	Ports
	Limits
	Run    Run
	Survey *Survey
	// Name is this feeder's, and no other's.
	Name string
	// Open opens the manifest, once at a time; it is read again for lines that had
	// to wait, and for jobs of whose end no event told.
	Open func(ctx context.Context) (*Opened, error)
	// Say tells a person what goes on: words without patient data.
	Say func(text string)

	book  *Book
	lease *lease
	// state is what operators want.
	state atomic.Value
	work  work
}

// work is how far a feeder is.
type work struct {
	// doubt is the highest line that an earlier feeder may have published without
	// a word in the book.
	doubt int64
	late  overdue
	// opens is when the next window opens; nil while one is open.
	opens atomic.Pointer[time.Time]
	pace  meter
}

const (
	renewEvery = 2 * time.Second
	stateEvery = time.Second
	// clockSlack is how far the clocks of this machine and of the server may differ.
	clockSlack = time.Hour
	// chunkJobs and chunkBytes bound what is published at once.
	chunkJobs  = 500
	chunkBytes = 1 << 20
)

// ErrManifest is a manifest that is not the run's any more.
var ErrManifest = errors.New("the manifest is not the one that the run began with")

// Feed publishes what the book has no word of, and returns when every line has
// ended: with nil, or where wait is false once every line is published. ready is
// called with the book once it is up to date. ErrOverdue says that all is published
// but lines whose time is over. When ctx ends it stops, in
// good order, and another feeder can go on at once.
func (f *Feeder) Feed(ctx context.Context, wait bool, ready func(*Book)) (err error) {
	if f.Lease == 0 {
		f.Lease = DefaultLease
	}
	f.Open = oneByOne(f.Open)
	f.state.Store(f.Run.State)
	f.lease, err = takeLease(ctx, f.Bucket, f.Run.ID, f.Name, f.Lease, func(other string, patience time.Duration) {
		f.Say(fmt.Sprintf("the run has a feeder, %s; waiting %s for a sign of it", other, patience))
	})
	if err != nil {
		return err
	}
	f.work.doubt = f.lease.record.Ahead
	if f.book, err = OpenBook(ctx, f.Bucket, f.Run); err != nil {
		return err
	}
	if at := f.lease.record.Opens; !at.IsZero() && len(f.Windows.spans) == 0 {
		f.Say("the last feeder kept to hours, and waited until " + at.UTC().Format("2006-01-02 15:04 MST") + "; this one has no --window, and feeds at any hour")
	}
	f.lookAtClock()
	ctx, stop := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	if len(f.Windows.spans) > 0 {
		all.Go(func() { stop(f.keepHours(ctx)) })
	}
	caught := make(chan struct{})
	all.Go(func() { stop(f.follow(ctx, caught)) })
	all.Go(func() { stop(f.renew(ctx)) })
	all.Go(func() { stop(f.obey(ctx)) })
	if f.Failures != (FailureLimit{}) {
		all.Go(func() { stop(f.stopAtFailures(ctx)) })
	}
	all.Go(func() { stop((&search{Feeder: f}).run(ctx)) })
	err = f.feed(ctx, wait, caught, ready)
	ended := err == nil
	if err == nil || errors.Is(err, context.Canceled) {
		err = errOr(context.Cause(ctx), err)
	}
	stop(nil)
	all.Wait()
	return errOr(err, f.leave(ctx, ended && wait))
}

func errOr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveTime bounds the last words of a feeder.
const leaveTime = 20 * time.Second

// leave writes the book and gives the run up, unless it is another's.
func (f *Feeder) leave(ctx context.Context, ended bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	return f.write(ctx, func(c *Checkpoint) {
		c.Feeder = ""
		if f.work.doubt == 0 {
			c.Ahead = 0
		}
		if ended {
			c.EndedAt = time.Now().UTC()
		}
	})
}

// Current is the run as operators want it now.
func (f *Feeder) Current() Run {
	run := f.Run
	if state, ok := f.state.Load().(State); ok {
		run.State = state
	}
	return run
}

// feed does the work of Feed.
func (f *Feeder) feed(ctx context.Context, wait bool, caught <-chan struct{}, ready func(*Book)) error {
	select {
	case <-caught:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := f.recover(ctx); err != nil {
		return err
	}
	if err := (&search{Feeder: f}).askLedger(ctx); err != nil {
		return err
	}
	f.book.attach(f.Survey, f.PerLane)
	f.Survey = nil // the book has what is needed of it
	ready(f.book)
	for {
		again, err := f.pass(ctx)
		if err != nil {
			return err
		}
		if !again {
			break
		}
	}
	f.work.doubt = 0 // every line was looked for
	if err := f.work.late.err(f.Run); err != nil && f.state.Load() != Cancelled {
		return err
	}
	if !wait {
		return nil
	}
	return f.book.await(ctx, func() bool { return f.book.Tally(f.Current()).InFlight == 0 })
}

// recover finds the jobs that a dead feeder published and that still are in the
// queue. Those that are not are in the ledger, and are found there before their
// lines are published.
func (f *Feeder) recover(ctx context.Context) error {
	if f.work.doubt == 0 {
		return nil
	}
	f.Say("the last feeder did not end well: looking for the jobs it published")
	return f.Queue.Queued(ctx, f.Run.ID, func(line int64) { f.book.mark(line, Fed) })
}

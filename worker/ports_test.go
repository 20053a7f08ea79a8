package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// copyInHand is a delivery that counts what is done with it.
type copyInHand struct {
	lane     schemas.Lane
	sequence uint64
	// over is set when the lease is no longer ours; late counts renewals after.
	over           atomic.Bool
	extended, late atomic.Int32
	mu             sync.Mutex
	returned       []time.Duration
	acked          int
	extendFails    bool
}

func (c *copyInHand) Lane() schemas.Lane         { return c.lane }
func (c *copyInHand) Data() []byte               { return nil }
func (c *copyInHand) Sequence() uint64           { return c.sequence }
func (c *copyInHand) Stored() time.Time          { return time.Time{} }
func (c *copyInHand) Attempt(schemas.JobKey) int { return 0 }
func (c *copyInHand) Line() Line                 { return Line{} }
func (c *copyInHand) Pending() uint64            { return 0 }

func (c *copyInHand) Extend() error {
	c.extended.Add(1)
	if c.over.Load() {
		c.late.Add(1)
	}
	if c.extendFails {
		return errors.New("not now")
	}
	return nil
}

func (c *copyInHand) Ack(context.Context) error {
	c.over.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked++
	return nil
}

func (c *copyInHand) Trace() schemas.Trace { return "" }

func (c *copyInHand) GiveBack(delay time.Duration) error {
	c.over.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned = append(c.returned, delay)
	return nil
}

// given is when it was given back, and with what pause.
func (c *copyInHand) given() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.returned)
}

var quiet = slog.New(slog.DiscardHandler)

// TestNoRenewalAfterRelease races renewals with releases.
func TestNoRenewalAfterRelease(t *testing.T) {
	l := newLeases(quiet, time.Hour, nil)
	ctx, cancel := context.WithCancel(t.Context())
	renewed := make(chan struct{})
	go func() { defer close(renewed); l.run(ctx, 50*time.Microsecond) }()
	var copies sync.Map
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 500 {
				c := &copyInHand{}
				copies.Store(c, true)
				one := l.hold(c)
				for range 20 {
					_ = c.extended.Load()
				}
				one.release()
				_ = c.Ack(ctx)
				one.release()
			}
		})
	}
	workers.Wait()
	cancel()
	<-renewed
	if len(l.held) != 0 {
		t.Errorf("%d leases are still held", len(l.held))
	}
	copies.Range(func(c, _ any) bool {
		if n := c.(*copyInHand).late.Load(); n > 0 {
			t.Errorf("%d renewals after the acknowledgement", n)
		}
		return true
	})
}

// TestTheEndOfACopyEndsItsRenewal: before the acknowledgement or the giving back
// leaves, since the run may go on for a while after it.
func TestTheEndOfACopyEndsItsRenewal(t *testing.T) {
	for name, end := range map[string]func(*jobRun){
		"acknowledged": func(r *jobRun) { r.ack(t.Context()) },
		"given back":   func(r *jobRun) { r.giveBack(0) },
	} {
		w, c := workerOn(nil, nil, 0), &copyInHand{}
		leases := w.runner.leases
		r := &jobRun{services: &w.runner.services, delivery: c, lease: leases.hold(c), report: report{watch: unwatched{}, log: quiet}}
		leases.renew()
		end(r)
		leases.renew()
		if c.extended.Load() != 1 || c.late.Load() != 0 {
			t.Errorf("%s: renewed %d times, %d of them after", name, c.extended.Load(), c.late.Load())
		}
	}
}

// TestEveryLeaseIsRenewed each period, also beside one that fails, and until the
// end.
func TestEveryLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(quiet, time.Hour, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.run(ctx, 10*time.Second) }()
		copies := []*copyInHand{{}, {extendFails: true}, {}}
		for _, c := range copies {
			l.hold(c)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		for i, c := range copies {
			if n := c.extended.Load(); n != 3 {
				t.Errorf("lease %d was renewed %d times in 35 s, want 3", i, n)
			}
		}
		cancel()
		<-ended
	})
}

// oneLane is an intake with one lane of jobs that the test hands over.
type oneLane struct {
	answers chan Answer
	jobs    uint64
	asks    atomic.Int32
	stopped atomic.Bool
	refuse  bool
}

func (i *oneLane) Offer() Offer {
	return Offer{Lanes: []Depth{{Lane: liveLane("a"), Jobs: i.jobs, Served: true}}}
}

func (i *oneLane) Offered() <-chan struct{} { return nil }

func (i *oneLane) Ask(lane schemas.Lane, n int, _ time.Duration) (uint64, error) {
	ask := uint64(i.asks.Add(1))
	if i.refuse {
		return 0, errors.New("refused")
	}
	return ask, nil
}

func (i *oneLane) Answers() <-chan Answer { return i.answers }
func (i *oneLane) Stop()                  { i.stopped.Store(true) }

// noBook is a ledger that fails as told.
type noBook struct {
	noDocuments
	open func(ctx context.Context) error
}

func (b *noBook) Open(ctx context.Context, _ schemas.JobKey, fresh job.Record) (Entry, bool, error) {
	return nil, false, b.open(ctx)
}

func (b *noBook) Find(context.Context, schemas.JobKey) (job.Record, bool, error) {
	return job.Record{}, false, nil
}

// deaf is a control that nobody else listens to.
type deaf struct{}

func (deaf) Follow(ctx context.Context, _ func(LaneState)) { <-ctx.Done() }

func (deaf) FollowRuns(ctx context.Context, _ func(string, bool), listed func()) {
	listed()
	<-ctx.Done()
}

func (deaf) Put(_ context.Context, s LaneState) (LaneState, error) {
	s.Revision++
	return s, nil
}

// plenty is a budget that is off.
type plenty struct{}

func (plenty) Room() int                { return 1 << 30 }
func (plenty) Want(int)                 {}
func (plenty) Changed() <-chan struct{} { return nil }

// named understands everything.
type named struct{ Deliverer }

func (named) Understand(schemas.Lane, []byte) (pipeline.Understood, error) {
	return pipeline.Understood{Job: schemas.Job{ID: "job"}}, nil
}

func workerOn(in Intake, book Ledger, grace time.Duration) *Worker {
	return New(Settings{Name: "w", Prefix: "p", Slots: 2, LaneConcurrency: 2, Lease: 30 * time.Second, Grace: grace}, Queue{Intake: in, Control: deaf{}, Budget: plenty{}}, book, named{}, quiet)
}

// TestAPanicOutsideThePipeline: the job comes back after a pause, its lease is not
// renewed any more and its slot is free.
func TestAPanicOutsideThePipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &oneLane{answers: make(chan Answer)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			workerOn(in, &noBook{open: func(context.Context) error { panic("a defect") }}, time.Minute).Run(ctx)
		}()
		var copies []*copyInHand
		for range 5 { // more than there are slots
			c := &copyInHand{lane: liveLane("a")}
			copies = append(copies, c)
			in.answers <- Answer{Lane: c.lane, Delivery: c}
			synctest.Wait()
		}
		time.Sleep(5 * time.Minute)
		cancel()
		<-ended
		for i, c := range copies {
			if !slices.Equal(c.given(), []time.Duration{job.LeaveAlone}) || c.acked != 0 || c.late.Load() != 0 {
				t.Errorf("copy %d: given back %v, acked %d times, renewed %d times too late", i, c.given(), c.acked, c.late.Load())
			}
		}
	})
}

// TestRunEnds: after the grace time the jobs in hand are interrupted and given
// back at once, what still arrives is given back too, and nothing is left
// running: a goroutine left over would fail the bubble.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &oneLane{answers: make(chan Answer)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		book := &noBook{open: func(ctx context.Context) error {
			<-ctx.Done()
			return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "ledger_unavailable"}
		}}
		go func() { defer close(ended); workerOn(in, book, 20*time.Second).Run(ctx) }()
		busy := []*copyInHand{{lane: liveLane("a"), sequence: 1}, {lane: liveLane("a"), sequence: 2}}
		for _, c := range busy {
			in.answers <- Answer{Lane: c.lane, Delivery: c}
		}
		extra := &copyInHand{lane: liveLane("a"), sequence: 3}
		in.answers <- Answer{Lane: extra.lane, Delivery: extra}
		synctest.Wait()
		cancel()
		synctest.Wait()
		late := &copyInHand{lane: liveLane("a"), sequence: 4}
		in.answers <- Answer{Lane: late.lane, Delivery: late}
		in.answers <- Answer{Lane: late.lane, Ask: 1, Done: true}
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if !in.stopped.Load() || len(busy[0].given()) != 0 {
			t.Errorf("stopped %t; within the grace time a job was given back: %v", in.stopped.Load(), busy[0].given())
		}
		if busy[0].extended.Load() == 0 {
			t.Error("no lease was renewed during the grace time")
		}
		start := time.Now()
		<-ended
		if took := time.Since(start); took != time.Second {
			t.Errorf("ended %s after the grace time", took-time.Second)
		}
		for i, c := range append(busy, extra, late) {
			if !slices.Equal(c.given(), []time.Duration{0}) || c.late.Load() != 0 {
				t.Errorf("copy %d was given back %v and renewed %d times too late, want once, at once", i, c.given(), c.late.Load())
			}
		}
	})
}

// TestARefusalIsNotAskedInCircles: a lane that cannot be asked is asked again when
// it is seen, twice a second, with a job in hand or without.
func TestARefusalIsNotAskedInCircles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &oneLane{answers: make(chan Answer), jobs: 10, refuse: true}
		ctx, cancel := context.WithCancel(t.Context())
		book := &noBook{open: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		ended := make(chan struct{})
		go func() { defer close(ended); workerOn(in, book, 0).Run(ctx) }()
		c := &copyInHand{lane: liveLane("a")}
		in.answers <- Answer{Lane: c.lane, Delivery: c}
		// Whatever wakes the loop is an occasion to ask.
		for range 1000 {
			in.answers <- Answer{Lane: liveLane("a"), Done: true, Refused: true}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := in.asks.Load(); n < 5 || n > 25 {
			t.Errorf("%d asks in 10 s, want about one each half second", n)
		}
		cancel()
		<-ended
	})
}

package worker

import (
	"context"
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

// crowd is an intake of lanes that do not run out of jobs.
type crowd struct {
	lanes   []Depth
	answers chan Answer
	end     chan struct{}
	copies  atomic.Uint64
}

func (c *crowd) Offer() Offer { return Offer{Lanes: c.lanes} }

func (c *crowd) Offered() <-chan struct{} { return nil }

func (c *crowd) Ask(lane schemas.Lane, n int, wait time.Duration) (uint64, error) {
	if wait == longWait {
		return 1, nil
	}
	go func() {
		for range n {
			c.answer(Answer{Lane: lane, Delivery: oneOfMany{&copyInHand{lane: lane, sequence: c.copies.Add(1)}}})
		}
		c.answer(Answer{Lane: lane, Done: true})
	}()
	return 1, nil
}

func (c *crowd) answer(a Answer) {
	select {
	case c.answers <- a:
	case <-c.end:
	}
}

func (c *crowd) Answers() <-chan Answer { return c.answers }
func (c *crowd) Stop()                  { close(c.end) }

type oneOfMany struct{ *copyInHand }

func (oneOfMany) Pending() uint64 { return 1000 }

// brisk works a moment on each job and tells of those of the shut lane.
type brisk struct{ probes *atomic.Int32 }

func (brisk) Understand(lane schemas.Lane, _ []byte) (pipeline.Understood, error) {
	return pipeline.Understood{Job: schemas.Job{ID: lane.Destination, RequestedAt: time.Now()}}, nil
}

func (b brisk) Deliver(_ context.Context, _ schemas.Class, job pipeline.Understood, _ *job.Record, _ pipeline.RecordStore, _ pipeline.Progress) error {
	if job.ID == "shut" {
		b.probes.Add(1)
	}
	time.Sleep(300 * time.Millisecond)
	return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "superseded"}
}

// TestABusyWorkerProbes: a lane whose destination has failed is tried again,
// although the only worker has no slot that the other lane does not want.
func TestABusyWorkerProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &crowd{lanes: []Depth{{Lane: liveLane("busy"), Jobs: 1000, Served: true}, {Lane: liveLane("shut"), Jobs: 5, Served: true}}, answers: make(chan Answer), end: make(chan struct{})}
		control := &told{changed: make(chan LaneState)}
		var probes atomic.Int32
		stop := run(t, Queue{Intake: in, Control: control, Budget: plenty{}}, openBook{save: saved}, brisk{&probes}, time.Hour)
		now := time.Now()
		control.changed <- LaneState{Lane: liveLane("shut"), Revision: 1, Breaker: &Breaker{Since: now, Until: now.Add(time.Hour), Opened: 1}}
		time.Sleep(10 * time.Second) // the slots are the busy lane's
		before := probes.Load()
		now = time.Now()
		control.changed <- LaneState{Lane: liveLane("shut"), Revision: 2, Breaker: &Breaker{Since: now, Until: now.Add(time.Second), Opened: 1}}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if probes.Load() == before {
			t.Errorf("not probed in 20 s; claims %q", control.claims())
		}
		stop()
	})
}

// stingy is a budget that grants one job at a time, to who wants one.
type stingy struct {
	mu      sync.Mutex
	wanted  int
	changed chan struct{}
}

func (s *stingy) Room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(s.wanted, 1)
}

func (s *stingy) Want(jobs int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = jobs
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stingy) Changed() <-chan struct{} { return s.changed }

// TestABackfillThatWasShutIsProbed although nothing else is wanted of the budget,
// and nothing is wanted while it is shut.
func TestABackfillThatWasShutIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shut := schemas.Lane{Class: schemas.Backfill, Destination: "shut"}
		in := &crowd{lanes: []Depth{{Lane: shut, Jobs: 5, Served: true}}, answers: make(chan Answer), end: make(chan struct{})}
		control, budget := &told{changed: make(chan LaneState)}, &stingy{changed: make(chan struct{}, 1)}
		var probes atomic.Int32
		stop := run(t, Queue{Intake: in, Control: control, Budget: budget}, openBook{save: saved}, brisk{&probes}, time.Hour)
		now := time.Now()
		control.changed <- LaneState{Lane: shut, Revision: 1, Breaker: &Breaker{Since: now, Until: now.Add(30 * time.Second), Opened: 4}}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		before := probes.Load()
		if budget.Room() != 0 {
			t.Error("something is wanted of the budget while the lane is shut")
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if probes.Load() == before {
			t.Errorf("not probed; claims %q", control.claims())
		}
		stop()
	})
}

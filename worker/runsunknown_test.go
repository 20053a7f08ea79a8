package worker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// unlisted is a control whose runs are listed when the test says so.
type unlisted struct {
	deaf
	now chan struct{}
}

func (c unlisted) FollowRuns(ctx context.Context, _ func(string, bool), listed func()) {
	select {
	case <-c.now:
		listed()
	case <-ctx.Done():
	}
	<-ctx.Done()
}

// counted is a pipeline that counts the jobs that begin, by destination and class.
type counted struct {
	mu    *sync.Mutex
	begun map[schemas.Lane]int
}

func newCounted() counted { return counted{&sync.Mutex{}, map[schemas.Lane]int{}} }

func (c counted) of(lane schemas.Lane) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun[lane]
}

func (counted) Understand(lane schemas.Lane, _ []byte) (pipeline.Understood, error) {
	return pipeline.Understood{Job: schemas.Job{ID: lane.Destination, RequestedAt: time.Now()}}, nil
}

func (c counted) Deliver(_ context.Context, class schemas.Class, job pipeline.Understood, _ *job.Record, _ pipeline.RecordStore, _ pipeline.Progress) error {
	c.mu.Lock()
	c.begun[schemas.Lane{Class: class, Destination: job.ID}]++
	c.mu.Unlock()
	time.Sleep(time.Second)
	return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "superseded"}
}

// TestRunsThatAreNotListed: jobs of runs that are in hand are not sent, and leave
// their slots to others; they go on once the runs are listed.
func TestRunsThatAreNotListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, control, jobs := &oneLane{answers: make(chan Answer)}, unlisted{now: make(chan struct{})}, newCounted()
		stop := run(t, Queue{Intake: in, Control: control, Budget: plenty{}}, openBook{save: saved}, jobs, time.Minute)
		take := func(d Delivery) {
			in.answers <- Answer{Lane: d.Lane(), Delivery: d}
			synctest.Wait()
		}
		ofARun, nobodys := liveLane("run"), liveLane("b")
		waiting := []ofRun{{&copyInHand{sequence: 1, lane: ofARun}}, {&copyInHand{sequence: 2, lane: ofARun}}} // as many as there are slots
		for _, d := range waiting {
			take(d)
		}
		time.Sleep(listingTime + time.Second)
		take(&copyInHand{sequence: 3, lane: nobodys})
		for i, d := range waiting {
			if !slices.Equal(d.given(), []time.Duration{job.LeaveAlone}) {
				t.Errorf("copy %d was given back %v, want once, for a while", i+1, d.given())
			}
		}
		if jobs.of(ofARun) != 0 || jobs.of(nobodys) != 1 {
			t.Errorf("%d jobs of the run began, and %d others, want one", jobs.of(ofARun), jobs.of(nobodys))
		}
		close(control.now)
		take(ofRun{&copyInHand{sequence: 4, lane: ofARun}})
		if jobs.of(ofARun) != 1 {
			t.Error("the runs are known, and the job does not begin")
		}
		stop()
	})
}

// TestNoBackfillBeforeTheRunsAreListed: it would wait in slots that live jobs need.
func TestNoBackfillBeforeTheRunsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, backfill := liveLane("a"), schemas.Lane{Class: schemas.Backfill, Destination: "a"}
		in := &crowd{lanes: []Depth{{Lane: live, Jobs: 1000, Served: true}, {Lane: backfill, Jobs: 1000, Served: true}}, answers: make(chan Answer), end: make(chan struct{})}
		control, jobs := unlisted{now: make(chan struct{})}, newCounted()
		stop := run(t, Queue{Intake: in, Control: control, Budget: plenty{}}, openBook{save: saved}, jobs, time.Hour)
		time.Sleep(time.Minute)
		if jobs.of(live) < 30 || jobs.of(backfill) != 0 {
			t.Errorf("in a minute %d live jobs and %d of backfills began", jobs.of(live), jobs.of(backfill))
		}
		close(control.now)
		time.Sleep(time.Minute)
		if jobs.of(backfill) == 0 {
			t.Error("the runs are known, and no backfill begins")
		}
		stop()
	})
}

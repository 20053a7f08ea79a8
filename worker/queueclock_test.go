package worker

import (
	"context"
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

// askew is a queue's clock that differs from the worker's own.
type askew struct {
	ahead   time.Duration
	unknown atomic.Bool
}

func (a *askew) Now() (time.Time, bool) { return time.Now().Add(a.ahead), !a.unknown.Load() }

// notes are what an outbox was told.
type notes struct {
	Outbox
	mu        sync.Mutex
	events    []schemas.Event
	schedules []Schedule
}

func (n *notes) Tell(_ context.Context, _ schemas.Lane, e schemas.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	return nil
}

func (n *notes) Bury(context.Context, DeadLetter) error { return nil }

func (n *notes) Later(_ context.Context, s Schedule) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.schedules = append(n.schedules, s)
	return nil
}

// ends are the codes of the reasons told, in order.
func (n *notes) ends() (codes []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		codes = append(codes, e.Data.Reason.Code)
	}
	return codes
}

// endingAt is a pipeline whose jobs expire at a time and meet a passing fault.
type endingAt time.Time

func (at endingAt) Understand(schemas.Lane, []byte) (pipeline.Understood, error) {
	return pipeline.Understood{Job: schemas.Job{ID: "job", RequestedAt: time.Time(at).Add(-time.Hour), ExpiresAt: time.Time(at)}}, nil
}

func (endingAt) Deliver(context.Context, schemas.Class, pipeline.Understood, *job.Record, pipeline.RecordStore, pipeline.Progress) error {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "passing"}
}

// TestTheQueuesClockDecides what is expired and when a job comes back: a worker
// whose own is wrong by hours buries nothing.
func TestTheQueuesClockDecides(t *testing.T) {
	for name, c := range map[string]struct {
		ahead, left time.Duration // of the queue's clock and for the job, beside the worker's
		want        string
	}{
		"expired by the worker's alone": {-2 * time.Hour, -time.Hour, "passing"},
		"expired by the queue's alone":  {2 * time.Hour, time.Hour, "expired"},
		"no time left by the queue's":   {time.Hour, time.Hour + 100*time.Millisecond, "expired"},
		"in time by both":               {0, time.Hour, "passing"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, out := &oneLane{answers: make(chan Answer)}, &notes{}
				queue := Queue{Intake: in, Outbox: out, Control: deaf{}, Budget: plenty{}, Clock: &askew{ahead: c.ahead}}
				stop := run(t, queue, openBook{save: saved}, endingAt(time.Now().Add(c.left)), time.Minute)
				d := &copyInHand{lane: liveLane("a")}
				in.answers <- Answer{Lane: d.lane, Delivery: d}
				synctest.Wait()
				if got := out.ends(); !slices.Equal(got, []string{c.want}) {
					t.Errorf("told %q, want %q", got, c.want)
				}
				for _, s := range out.schedules {
					if wait := s.At.Sub(time.Now().Add(c.ahead)); wait <= 0 || wait > 10*time.Second {
						t.Errorf("it comes back after %s by the queue's clock", wait)
					}
				}
				if want := c.want == "passing"; (len(out.schedules) == 1) != want {
					t.Errorf("%d schedules", len(out.schedules))
				}
				stop()
			})
		})
	}
}

// TestNoClockNoDecision: before the queue's time is known nothing is begun, and
// nothing buried.
func TestNoClockNoDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out, clock := &oneLane{answers: make(chan Answer)}, &notes{}, &askew{}
		clock.unknown.Store(true)
		queue := Queue{Intake: in, Outbox: out, Control: deaf{}, Budget: plenty{}, Clock: clock}
		stop := run(t, queue, openBook{save: saved}, endingAt(time.Now().Add(-time.Hour)), time.Minute)
		take := func(sequence uint64) *copyInHand {
			d := &copyInHand{lane: liveLane("a"), sequence: sequence}
			in.answers <- Answer{Lane: d.lane, Delivery: d}
			synctest.Wait()
			return d
		}
		if d := take(1); !slices.Equal(d.given(), []time.Duration{job.LeaveAlone}) || len(out.ends()) != 0 {
			t.Errorf("given back %v, told %q", d.given(), out.ends())
		}
		clock.unknown.Store(false)
		if take(2); !slices.Equal(out.ends(), []string{"expired"}) {
			t.Errorf("told %q", out.ends())
		}
		stop()
	})
}

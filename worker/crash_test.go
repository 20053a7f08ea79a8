package worker_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

var (
	busy    = &fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "redox_status_503", Text: "busy"}
	refused = &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "redox_status_400", Text: "refused"}
	lost    = &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "redox_connection_broken", Text: "lost"}
)

// TestACrashAnywhere ends a worker at every single step of a job, before and
// after the step took effect, and lets another carry on: the job reaches its
// end, what needs a person is in the dead letters once, and a message that Redox
// took twice is said to be a possible duplicate.
func TestACrashAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		post  func(n int) *fault.Fault
		hold  bool
		end   schemas.Status
		steps int
	}{
		{"accepted", func(int) *fault.Fault { return nil }, false, schemas.StatusAccepted, 6},
		{"refused", func(int) *fault.Fault { return refused }, false, schemas.StatusFailed, 7},
		{"busy, then accepted", func(n int) *fault.Fault {
			if n == 1 {
				return busy
			}
			return nil
		}, false, schemas.StatusAccepted, 14},
		{"lost, then accepted", func(n int) *fault.Fault {
			if n == 1 {
				return lost
			}
			return nil
		}, false, schemas.StatusAccepted, 14},
		{"lost and held", func(int) *fault.Fault { return lost }, true, schemas.StatusUnknown, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
			var wait sync.WaitGroup
			// A slow machine may take a job twice, which costs one worker more steps,
			// but hardly both.
			var further atomic.Int32
			for at := 1; at <= c.steps+1; at++ {
				for _, after := range []bool{false, true} {
					w := newWorldOn(t, server.URL())
					if at <= c.steps { // nobody else waits for the end of the lease
						w.lease = 5 * time.Second
					}
					if c.hold {
						w.settings.Policy.OnUnknown = job.HoldUnknown
					}
					wait.Go(func() {
						reached := crash(w, &cut{at: at, after: after}, &script{post: c.post}, c.end)
						switch {
						case reached && at > c.steps:
							further.Add(1)
						case !reached && at <= c.steps:
							t.Errorf("step %d is not reached; the number of steps has changed", at)
						}
					})
				}
			}
			wait.Wait()
			if further.Load() == 2 {
				t.Errorf("there are more than %d steps; their number has changed", c.steps)
			}
		})
	}
}

// crash runs one job with a worker that is cut off and one that carries on. It
// tells whether the first came to its cut.
func crash(w *world, cut *cut, s *script, end schemas.Status) (reached bool) {
	name := fmt.Sprintf("cut at step %d, after it: %t", cut.at, cut.after)
	first := &script{post: s.post, cut: cut}
	stop := w.start(first, cut)
	data := jobJSON("job", "a")
	w.publish(data)
	w.until(name, func() bool {
		return cut.reached() || len(w.events()) > 0 && w.waiting() == 0
	})
	stop()
	reached = cut.reached()
	// The second worker's posts go on counting.
	second := &script{post: func(n int) *fault.Fault { return s.post(n + int(first.posts.Load())) }}
	stop = w.start(second, nil)
	defer stop()
	w.drained()

	// A schedule may be faster than the worker that repeats what led to it: the
	// attempt orders the events of a job.
	events := w.events()
	slices.SortStableFunc(events, func(a, b schemas.Event) int { return cmp.Compare(a.Data.Attempt, b.Data.Attempt) })
	last := schemas.Event{}
	if len(events) > 0 {
		last = events[len(events)-1]
	}
	if end == schemas.StatusFailed && last.Data.PossibleDuplicate {
		// It was cut off while sending: the refusal of a later sending says nothing
		// of that one.
		end = schemas.StatusUnknown
	}
	if last.Data.Status != end {
		w.t.Errorf("%s: events %q, want the last %s\n%s", name, describe(events), end, w.log.tail())
	}
	taken := first.taken.Load() + second.taken.Load()
	if taken > 1 && !last.Data.PossibleDuplicate {
		w.t.Errorf("%s: Redox took the message %d times and nobody says so: %q", name, taken, describe(events))
	}
	if end == schemas.StatusAccepted && taken < 1 {
		w.t.Errorf("%s: accepted, and Redox has taken nothing", name)
	}
	if r := w.record("job"); !r.Phase.Final() || (r.Phase == job.Accepted) != (end == schemas.StatusAccepted) {
		w.t.Errorf("%s: the ledger says %s", name, r.Phase)
	}
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.ID] {
			w.t.Errorf("%s: event %s twice", name, e.ID)
		}
		seen[e.ID] = true
	}
	letters := w.messages("DEAD")
	if want := end != schemas.StatusAccepted; (len(letters) == 1) != want || len(letters) > 1 {
		w.t.Errorf("%s: %d dead letters", name, len(letters))
	} else if want && !bytes.Equal(letters[0].Data, data) {
		w.t.Errorf("%s: the dead letter is not the job", name)
	}
	return reached
}

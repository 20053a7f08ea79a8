package timeline

import (
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
	"github.com/chartpost/chartpost/worker/lanes"
)

// TestPublishedAgainAfterItsEnd: the record says nothing of the copy that waits.
func TestPublishedAgainAfterItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sequence, stored := w.publish("a")
	w.record("a", job.Record{Phase: job.Failed, Attempt: 1, Sequence: sequence, Stored: stored, Reason: &schemas.Reason{Kind: "permanent", Code: "c"}})
	w.remove(sequence)
	if j, _, _ := w.gather("a", Options{Waiting: 10}); j.Again != nil || j.InLane() {
		t.Errorf("before: %+v", j.Again)
	}
	w.publish("other")
	again, _ := w.publish("a")
	j, _, err := w.gather("a", Options{Waiting: 10})
	if err != nil || j.Again == nil || j.Again.Sequence != again || !j.InLane() || j.Copy != nil {
		t.Fatalf("%+v, %+v, %v", j.Again, j.Copy, err)
	}
	if got, known := j.Lane(); !known || got != lane {
		t.Errorf("lane %v", got)
	}
	control, err := w.queue.Control(t.Context())
	w.must(err)
	_, err = control.Put(t.Context(), worker.LaneState{Lane: lane, Pause: &worker.Pause{By: "ann", Reason: "maintenance", Until: time.Now().Add(time.Hour)}})
	w.must(err)
	why, err := Why(t.Context(), w.queue, j, time.Now())
	if text := why.Text(); err != nil || !strings.Contains(text, "paused until") || !strings.Contains(text, "by ann: maintenance") {
		t.Errorf("%q, %v", why, err)
	}
}

func TestWhy(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	breaker := func(until time.Time, prober string) worker.LaneState {
		return worker.LaneState{Breaker: &worker.Breaker{Until: until, Prober: prober, Reason: schemas.Reason{Code: "redox_status_503"}}}
	}
	for want, r := range map[string]natsq.LaneReport{
		"":                        {Waiting: 1, Concurrency: 8},
		"3 jobs wait in its lane": {Waiting: 3, Concurrency: 8, InHand: 7},
		"its lane has 8 jobs in hand, as many as it may; 3 wait":                                                 {Waiting: 3, Concurrency: 8, InHand: 8},
		"no worker can take jobs of its lane: waiting_for_turn":                                                  {Waiting: 3, Unserved: "waiting_for_turn"},
		"its lane is paused until 2026-11-20T11:00:00Z by ann: x":                                                {State: worker.LaneState{Pause: &worker.Pause{By: "ann", Reason: "x", Until: now.Add(time.Hour)}}},
		"its lane is shut until 2026-11-20T10:01:00Z, since its destination fails: redox_status_503":             {State: breaker(now.Add(time.Minute), "")},
		"its lane is being probed with one job, since its destination failed: redox_status_503":                  {State: breaker(now.Add(time.Minute), "w-1")},
		"a later version of Chartpost wrote its lane's record; workers of this version take no jobs of the lane": {State: lanes.LaterState(lane, 1)},
	} {
		if got := diagnosis.Why(diagnosis.Facts{Now: now, Lane: overview.LaneFacts(r)}).Text(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	over := worker.LaneState{Pause: &worker.Pause{Until: now}}
	if got := diagnosis.Why(diagnosis.Facts{Now: now, Lane: overview.LaneFacts(natsq.LaneReport{State: over})}).Text(); got != "" {
		t.Errorf("a pause that is over: %q", got)
	}
	for name, c := range map[string]struct {
		job  Job
		want bool
	}{
		"nothing":                     {Job{}, false},
		"never taken":                 {Job{Copy: &natsq.JobCopy{}}, true},
		"in hand":                     {Job{Copy: &natsq.JobCopy{}, Record: &job.Record{Phase: job.Working}}, true},
		"ended, not yet acknowledged": {Job{Copy: &natsq.JobCopy{}, Record: &job.Record{Phase: job.Accepted}}, false},
		"waits for its schedule":      {Job{Copy: &natsq.JobCopy{}, Schedule: &natsq.JobCopy{}, Record: &job.Record{Phase: job.Waiting}}, false},
		"published again":             {Job{Again: &natsq.JobCopy{}, Record: &job.Record{Phase: job.Failed}}, true},
	} {
		if got := c.job.InLane(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

package worker_test

import (
	"context"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
)

// TestAJobThatWorkersDieOn ends as abandoned when too many let it fall without a
// word, and not before; one that was handed over in good order was not let fall.
func TestAJobThatWorkersDieOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		abandoned int
		released  bool
		events    string
		count     int
	}{
		{"once too often", 10, false, "2/failed", 11},
		{"not too often", 9, false, "2/accepted", 10},
		{"handed over", 10, true, "2/accepted", 10},
	} {
		w := newWorld(t)
		data := jobJSON("job", "a")
		w.remember("job", job.Record{Phase: job.Working, Attempt: 2, Sequence: 1000, Digest: digest(data), Abandoned: c.abandoned, Released: c.released})
		s := &script{post: accepts}
		w.start(s, nil)
		w.publish(data)
		w.drained()
		r := w.record("job")
		if got := describe(w.events()); got != c.events || r.Abandoned != c.count {
			t.Errorf("%s: events %q, abandoned %d times; want %q and %d", c.name, got, r.Abandoned, c.events, c.count)
		}
		dead := w.messages("DEAD")
		if ended := c.events == "2/failed"; ended != (len(dead) == 1) || ended != (s.posts.Load() == 0) {
			t.Errorf("%s: %d dead letters, %d posts", c.name, len(dead), s.posts.Load())
		}
		if r.Phase == job.Failed && r.Reason.Code != "abandoned" {
			t.Errorf("%s: %+v", c.name, r.Reason)
		}
	}
}

// TestWhoTakesAJobIsNoLongerReleased: a worker that dies after that has let it
// fall.
func TestWhoTakesAJobIsNoLongerReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := jobJSON("job", "a")
	w.remember("job", job.Record{Phase: job.Working, Attempt: 1, Sequence: 1000, Digest: digest(data), Released: true})
	taken := make(chan job.Record, 1)
	w.start(&script{deliver: func(ctx context.Context, _ *job.Record, _ pipeline.RecordStore) error {
		r, _, err := w.ledger.Find(ctx, keyOf("job"))
		if err != nil {
			t.Error(err)
		}
		taken <- r
		return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "enough"}
	}}, nil)
	w.publish(data)
	w.drained()
	if r := <-taken; r.Released || r.Abandoned != 0 || r.Attempt != 1 {
		t.Errorf("released %t, abandoned %d, attempt %d while a worker has it", r.Released, r.Abandoned, r.Attempt)
	}
}

package worker_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/worker"
)

// noSchedules is an outbox that can never take a schedule.
type noSchedules struct {
	worker.Outbox
	asked atomic.Int32
}

func (o *noSchedules) Later(context.Context, worker.Schedule) error {
	o.asked.Add(1)
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "queue_max_payload", Text: "too large"}
}

// TestAJobThatCannotBeScheduled ends for a person: tried again, it would never come to
// an end. One whose message may have been taken does not end as failed.
func TestAJobThatCannotBeScheduled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault *fault.Fault
		want  string
		phase job.Phase
	}{
		{"not sent", &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "passing"}, "1/failed", job.Failed},
		{"perhaps taken", lost, "1/unknown!", job.Held},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			out := &noSchedules{}
			w.outbox = func(real worker.Outbox) worker.Outbox { out.Outbox = real; return out }
			w.publish(jobJSON("a", "a"))
			w.start(&script{post: func(int) *fault.Fault { return c.fault }}, nil)
			w.drained()
			if got := describe(w.events()); got != c.want {
				t.Errorf("events %q, want %q", got, c.want)
			}
			letters := w.messages("DEAD")
			if len(letters) != 1 || letters[0].Header.Get("Chartpost-Reason-Code") != "queue_max_payload" || out.asked.Load() != 1 {
				t.Errorf("%d dead letters, asked %d times", len(letters), out.asked.Load())
			}
			if r := w.record("a"); r.Phase != c.phase || !r.NextAttemptAt.IsZero() || r.Reason.Code != "queue_max_payload" {
				t.Errorf("%+v", r)
			}
		})
	}
}

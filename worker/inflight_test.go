package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// deaf hands on deliveries of which the server never hears that they are worked
// on, as when it is away for longer than a lease.
type deaf struct {
	worker.Intake
	answers chan worker.Answer
}

type unheard struct{ worker.Delivery }

func (unheard) Extend() error { return nil }

func (d *deaf) Answers() <-chan worker.Answer { return d.answers }

func (d *deaf) forward(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-d.Intake.Answers():
			if a.Delivery != nil {
				a.Delivery = unheard{a.Delivery}
			}
			select {
			case d.answers <- a:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestACopyThatIsStillInHand: a job whose lease ended while its message was
// being sent, and which comes to the same worker again, was not cut off. Its
// first handling ends it, and nothing is sent twice.
func TestACopyThatIsStillInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease = 3 * time.Second
	s := &script{}
	s.deliver = func(ctx context.Context, record *job.Record, journal pipeline.RecordStore) error {
		s.posts.Add(1)
		record.Phase = job.Sending
		if err := journal.Save(ctx, *record); err != nil {
			return err
		}
		w.until("the job comes again", func() bool { return strings.Contains(w.log.String(), "still has in hand") })
		record.Phase, record.Receipt = job.Accepted, &schemas.Receipt{Status: 200, AcceptedAt: time.Now().UTC()}
		return journal.Save(ctx, *record)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	w.startOn(s, func(in worker.Intake) worker.Intake {
		d := &deaf{Intake: in, answers: make(chan worker.Answer)}
		go d.forward(ctx)
		return d
	}, nil)
	w.publish(jobJSON("job", "a"))
	w.drained()
	if got := describe(w.events()); got != "1/accepted" || s.posts.Load() != 1 {
		t.Errorf("events %q, %d posts; want one plain acceptance", got, s.posts.Load())
	}
	if r := w.record("job"); r.Phase != job.Accepted || r.PossibleDuplicate {
		t.Errorf("the record says %s, possible duplicate %t", r.Phase, r.PossibleDuplicate)
	}
}

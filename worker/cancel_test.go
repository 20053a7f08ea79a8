package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

var goodHealthArchive = schemas.Lane{Class: schemas.Backfill, Destination: goodHealth.Destination}

// feed publishes a job as the feeder of a run does; run "" is somebody else.
func (w *world) feed(run, id string) (sequence uint64) {
	w.t.Helper()
	before := w.stream("JOBS").CachedInfo().State.LastSeq
	msg := nats.NewMsg(schemas.DueSubject(w.prefix, goodHealthArchive))
	msg.Data = jobJSON(id, "file")
	if run != "" {
		msg.Header.Set(natsq.HeaderBackfill, run+"/7")
	}
	if _, err := w.js.PublishMsg(w.t.Context(), msg); err != nil {
		w.t.Fatal(err)
	}
	w.until("the job is in its lane", func() bool {
		sequence = w.stream("JOBS").CachedInfo().State.LastSeq
		return sequence > before
	})
	return sequence
}

// want writes what an operator wants of a run.
func (w *world) want(run, state string) {
	w.t.Helper()
	runs, err := w.queue.Runs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	_, revision, err := runs.Read(w.t.Context(), "backfill."+run)
	if err == nil {
		_, err = runs.Write(w.t.Context(), "backfill."+run, fmt.Appendf(nil, `{"id":%q,"state":%q}`, run, state), revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// ends are the last event of each job.
func (w *world) ends() map[string]string {
	ends := map[string]string{}
	for _, e := range w.events() {
		ends[e.Data.JobID] = describe([]schemas.Event{e})
	}
	return ends
}

func (w *world) endsAre(want map[string]string) {
	w.t.Helper()
	ends := w.ends()
	for id, end := range want {
		if ends[id] != end {
			w.t.Errorf("%s ended as %q, want %q", id, ends[id], end)
		}
	}
}

// TestCancelledRun: jobs of a cancelled run are not sent, whatever was done for them
// before; of one that may have been sent that is not claimed; and nobody else's job is
// touched.
func TestCancelledRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease = 10 * time.Minute
	w.want("gone", "cancelled")
	w.want("on", "running")
	for _, asked := range [][2]string{{"gone", "new"}, {"gone", "uploaded"}, {"gone", "sending"}, {"gone", "doubted"}, {"gone", "was-accepted"}, {"on", "other-run"}, {"unheard-of", "no-run"}, {"", "nobodys"}} {
		sequence := w.feed(asked[0], asked[1])
		found, err := w.stream("JOBS").GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		record := job.Record{Phase: job.Working, Attempt: 1, Sequence: sequence, Stored: found.Time, UpdatedAt: time.Now()}
		switch asked[1] {
		case "uploaded":
			record.Files = []job.FileRecord{{URL: "https://example.invalid/f"}}
		case "sending":
			record.Phase = job.Sending
		case "doubted":
			record.PossibleDuplicate = true
		case "was-accepted":
			record.Phase, record.Receipt = job.Accepted, &schemas.Receipt{Status: 200, AcceptedAt: time.Now()}
		default:
			continue
		}
		w.remember(asked[1], record)
	}
	s := &script{post: accepts}
	w.start(s, nil)
	w.drained()
	w.endsAre(map[string]string{
		"new": "1/cancelled", "uploaded": "1/cancelled", "sending": "1/unknown", "doubted": "1/unknown!", "was-accepted": "1/accepted",
		"other-run": "1/accepted", "no-run": "1/accepted", "nobodys": "1/accepted",
	})
	if n := s.posts.Load(); n != 3 {
		t.Errorf("%d messages were sent, want 3", n)
	}
	for _, id := range []string{"new", "uploaded"} {
		if r := w.record(id); r.Phase != job.Cancelled || r.Reason == nil || r.Reason.Code != "run_cancelled" {
			t.Errorf("the ledger says of %s: %+v", id, r)
		}
	}
	if letters := w.messages("DEAD"); len(letters) != 2 {
		t.Errorf("%d dead letters, want those of unknown outcome", len(letters))
	}
}

// TestCancelWhileUnderWay: a job that waits for its next attempt is cancelled when it
// comes back; one in hand when it would be sent; one that met a passing fault at
// once.
func TestCancelWhileUnderWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		deliver    func(w *world, heard func()) func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error
	}{
		{"waiting", "1/retrying 2/cancelled", func(w *world, heard func()) func(context.Context, *job.Record, pipeline.RecordStore) error {
			return func(context.Context, *job.Record, pipeline.RecordStore) error {
				go heard()
				return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "passing", RetryAfter: 30 * time.Second}
			}
		}},
		{"about to be sent", "1/cancelled", func(w *world, heard func()) func(context.Context, *job.Record, pipeline.RecordStore) error {
			return func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
				heard()
				return (&script{post: func(int) *fault.Fault { w.t.Error("it was sent"); return nil }}).Deliver(ctx, schemas.Backfill, pipeline.Understood{}, r, j, nil)
			}
		}},
		{"after a fault", "1/cancelled", func(w *world, heard func()) func(context.Context, *job.Record, pipeline.RecordStore) error {
			return func(context.Context, *job.Record, pipeline.RecordStore) error {
				heard()
				return &fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "passing"}
			}
		}},
		{"of unknown outcome", "1/unknown", func(w *world, heard func()) func(context.Context, *job.Record, pipeline.RecordStore) error {
			return func(context.Context, *job.Record, pipeline.RecordStore) error {
				heard()
				return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "answer_lost"}
			}
		}},
		{"refused", "1/failed", func(w *world, heard func()) func(context.Context, *job.Record, pipeline.RecordStore) error {
			return func(context.Context, *job.Record, pipeline.RecordStore) error {
				heard()
				return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "refused"}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.lease = 10 * time.Minute
			w.want("run", "running")
			// Jobs of another run are accepted until the worker knows of the cancel.
			heard := func() {
				w.want("run", "cancelled")
				w.want("later", "cancelled")
				for n, end := 0, ""; end != "1/cancelled"; n++ {
					probe := fmt.Sprintf("probe-%d", n)
					w.feed("later", probe)
					w.until(probe+" has ended", func() bool { end = w.ends()[probe]; return end != "" })
				}
			}
			s := &script{post: accepts}
			deliver, first := c.deliver(w, heard), make(chan struct{}, 1)
			first <- struct{}{}
			s.deliver = func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
				select {
				case <-first:
					return deliver(ctx, r, j)
				default:
					return s.send(ctx, r, j)
				}
			}
			w.start(s, nil)
			w.feed("run", "job")
			w.drained()
			var own []schemas.Event
			for _, e := range w.events() {
				if e.Data.JobID == "job" {
					own = append(own, e)
				}
			}
			if got := describe(own); got != c.want {
				t.Errorf("events %q, want %q", got, c.want)
			}
		})
	}
}

// TestResentAfterCancel: what a person publishes again is not the run's any more.
func TestResentAfterCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("run", "cancelled")
	w.start(&script{post: accepts}, nil)
	w.feed("run", "job")
	w.drained()
	w.feed("", "job")
	w.drained()
	w.endsAre(map[string]string{"job": "2/accepted"})
}

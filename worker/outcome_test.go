package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

const canary = "KANARIENVOGEL"

// TestPanics: a defect that a job sets off is a fault of that job: it is tried
// later, called unknown when it struck during the sending, or buried when the
// job cannot even be read. Its lane goes on, and what it held stays unsaid.
func TestPanics(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		script     func(once func() bool) *script
	}{
		{"in the pipeline", "1/retrying 2/accepted", func(once func() bool) *script {
			plain := &script{post: accepts}
			return &script{deliver: func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
				if once() {
					panic(errors.New(canary))
				}
				return plain.Deliver(ctx, schemas.Live, pipeline.Understood{}, r, j, nil)
			}}
		}},
		{"while sending", "1/retrying! 2/accepted!", func(once func() bool) *script {
			return &script{post: func(int) *fault.Fault {
				if once() {
					panic(canary)
				}
				return nil
			}}
		}},
		{"before the acceptance is written down", "1/retrying! 2/accepted!", func(once func() bool) *script {
			s := &script{post: accepts}
			s.deliver = func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
				return s.send(ctx, r, journal(func(ctx context.Context, r job.Record) error {
					if r.Phase == job.Accepted && once() {
						panic(canary)
					}
					return j.Save(ctx, r)
				}))
			}
			return s
		}},
		{"on reading", "0/failed", func(func() bool) *script {
			return &script{understand: func([]byte) (pipeline.Understood, error) { panic(canary) }}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.lease = 10 * time.Minute // nothing here waits for a lease
			var done atomic.Bool
			w.start(c.script(func() bool { return done.CompareAndSwap(false, true) }), nil)
			data := jobJSON("job", canary)
			w.publish(data)
			w.drained()
			if got := describe(w.events()); got != c.want {
				t.Errorf("events %q, want %q", got, c.want)
			}
			if e := w.events()[0]; e.Data.Reason == nil || e.Data.Reason.Code != "panic" || e.Data.Receipt != nil {
				t.Errorf("the reason is %+v, the receipt %+v", e.Data.Reason, e.Data.Receipt)
			}
			log := w.log.String()
			if strings.Contains(log, canary) || !strings.Contains(log, "a panic while working on a job") || !strings.Contains(log, "world_test.go") && !strings.Contains(log, "outcome_test.go") {
				t.Errorf("the log must name the place and not the value:\n%s", log)
			}
			if letters := w.messages("DEAD"); len(letters) > 1 || (len(letters) == 1) != (c.want == "0/failed") {
				t.Errorf("%d dead letters", len(letters))
			}
		})
	}
}

// journal is a Save.
type journal func(ctx context.Context, r job.Record) error

func (j journal) Save(ctx context.Context, r job.Record) error { return j(ctx, r) }
func (journal) CheckLease() error                              { return nil }

// TestAPanicAfterTheEnd: what the ledger has as accepted is not sent again.
func TestAPanicAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &script{post: accepts}
	s.deliver = func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
		if err := s.send(ctx, r, j); err != nil {
			return err
		}
		panic(canary)
	}
	w.start(s, nil)
	w.publish(jobJSON("job", canary))
	w.drained()
	if got, n := describe(w.events()), s.posts.Load(); got != "1/accepted" || n != 1 {
		t.Errorf("events %q, %d posts", got, n)
	}
}

// TestInterruptedByNobody: a step that ends as if the worker were stopped, while
// it is not, is a passing fault; given back at once, the job would go in circles.
func TestInterruptedByNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &script{post: func(n int) *fault.Fault {
		if n == 1 {
			return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted"}
		}
		return nil
	}}
	w.start(s, nil)
	w.publish(jobJSON("job", "a"))
	w.drained()
	if got, want := describe(w.events()), "1/retrying 2/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestSetAsideIsNotAbandoned: a worker that can no longer write about a job says
// that it lets go of it as soon as that can be written.
func TestSetAsideIsNotAbandoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease = 10 * time.Minute
	stop := w.start(&script{deliver: func(context.Context, *job.Record, pipeline.RecordStore) error {
		return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "ledger_unavailable"}
	}}, nil)
	w.publish(jobJSON("job", "a"))
	w.until("the job is let go", func() bool {
		r, ok, err := w.ledger.Find(t.Context(), keyOf("job"))
		return err == nil && ok && r.Released
	})
	stop()
	w.start(&script{post: accepts}, nil)
	w.drained()
	if r := w.record("job"); r.Abandoned != 0 || r.Attempt != 1 || r.Phase != job.Accepted {
		t.Errorf("abandoned %d times, attempt %d, %s", r.Abandoned, r.Attempt, r.Phase)
	}
}

// TestAnotherOwner: a worker that lost its job tells, acknowledges and gives back
// nothing.
func TestAnotherOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease = 10 * time.Minute
	done := make(chan error, 1)
	stop := w.start(&script{deliver: func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
		theirs := w.record("job")
		theirs.Owner = "another"
		w.remember("job", theirs)
		err := j.Save(ctx, *r)
		done <- err
		return err
	}}, nil)
	w.publish(jobJSON("job", "a"))
	if f := fault.Of(<-done); f == nil || f.Kind != fault.Superseded {
		t.Fatalf("the save says %v", f)
	}
	stop()
	if n := w.waiting(); n != 1 || len(w.events()) != 0 || w.record("job").Owner != "another" {
		t.Errorf("%d jobs left, events %q, owner %s", n, describe(w.events()), w.record("job").Owner)
	}
	// What is given back is delivered before anything new.
	var seen sync.Map
	w.start(&script{post: accepts, understand: func(data []byte) (pipeline.Understood, error) {
		job, err := reader.Understand(goodHealth, data)
		seen.Store(job.ID, true)
		return job, err
	}}, nil)
	w.publish(jobJSON("next", "a"))
	w.until("the next job is done", func() bool { return w.waiting() == 1 })
	if _, back := seen.Load("job"); back {
		t.Error("the copy was given back")
	}
}

// TestNoNameNoLoss: what has no id that can be read is kept, and told of under
// its place in the stream.
func TestNoNameNoLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(&script{post: accepts}, nil)
	first, second := []byte(canary), []byte(canary+"2")
	sequence := w.publish(first)
	w.drained()
	w.publish(second)
	w.publish(first) // the same bytes again are another message
	w.drained()
	if letters := w.messages("DEAD"); len(letters) != 3 || !bytes.Equal(letters[0].Data, first) {
		t.Errorf("%d dead letters, want 3", len(letters))
	}
	events := w.events()
	if describe(events) != "0/failed 0/failed 0/failed" || events[0].Data.JobID != schemas.UnreadableID(sequence) {
		t.Errorf("events %q of %s", describe(events), events[0].Data.JobID)
	}
	if strings.Contains(w.log.String(), canary) {
		t.Errorf("the log quotes the message:\n%s", w.log)
	}
}

// TestTooLate: a job taken after its deadline is not tried, and one that waits
// gets its last try before it.
func TestTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Policy.First, w.settings.Policy.Longest = 40*time.Second, 40*time.Second
	s := &script{post: func(int) *fault.Fault { return busy }}
	w.start(s, nil)
	expiring := func(id string, requested, expires time.Duration) []byte {
		var job schemas.Job
		if err := json.Unmarshal(jobJSON(id, "a"), &job); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC().Truncate(time.Second)
		job.RequestedAt, job.ExpiresAt = now.Add(requested), now.Add(expires)
		data, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	w.publish(expiring("late", -time.Hour, -time.Minute))
	w.drained()
	if e := w.events()[0].Data; s.posts.Load() != 0 || e.Status != schemas.StatusFailed || e.Reason.Code != "expired" || e.Reason.Path != "/expires_at" {
		t.Errorf("%d posts, %s %+v", s.posts.Load(), e.Status, e.Reason)
	}
	w.publish(expiring("soon", 0, 33*time.Second))
	w.until("it ends", func() bool { return strings.HasSuffix(describe(w.events()), "2/failed") })
	w.drained()
	if n := s.posts.Load(); n != 2 {
		t.Errorf("%d posts, want a first and a last", n)
	}
	if e := w.events()[2].Data; e.Reason.Code != "expired" || !strings.Contains(e.Reason.Text, "redox_status_503") {
		t.Errorf("the end says %+v", e.Reason)
	}
}

// TestStopGivesBackAtOnce: after the grace time a job in hand goes to another
// worker without a wait for its lease, in the same attempt.
func TestStopGivesBackAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease, w.settings.Grace = 10*time.Minute, 0
	begun := make(chan struct{})
	stop := w.start(&script{deliver: func(ctx context.Context, _ *job.Record, _ pipeline.RecordStore) error {
		close(begun)
		<-ctx.Done()
		return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted", Cause: ctx.Err()}
	}}, nil)
	w.publish(jobJSON("job", "a"))
	<-begun
	stop()
	if r := w.record("job"); r.Phase != job.Working || r.Reason != nil {
		t.Errorf("the ledger says %s %+v", r.Phase, r.Reason)
	}
	w.start(&script{post: accepts}, nil)
	w.drained()
	if got := describe(w.events()); got != "1/accepted" {
		t.Errorf("events %q", got)
	}
}

// TestStopWhileSending: the outcome is left for whoever comes next, who says so.
func TestStopWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.lease, w.settings.Grace = 10*time.Minute, 0
	begun := make(chan struct{})
	stop := w.start(&script{deliver: func(ctx context.Context, r *job.Record, j pipeline.RecordStore) error {
		r.Phase = job.Sending
		if err := j.Save(ctx, *r); err != nil {
			return err
		}
		close(begun)
		<-ctx.Done()
		return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "cancelled", Cause: ctx.Err()}
	}}, nil)
	w.publish(jobJSON("job", "a"))
	<-begun
	stop()
	if r := w.record("job"); r.Phase != job.Sending || len(w.events()) != 0 {
		t.Errorf("the ledger says %s, events %q", r.Phase, describe(w.events()))
	}
	w.start(&script{post: accepts}, nil)
	w.drained()
	if got := describe(w.events()); got != "1/retrying! 2/accepted!" {
		t.Errorf("events %q", got)
	}
}

// TestADoubtOutlivesItsAttempt: what ends a job after a sending of unknown
// outcome does not end it as one that Redox does not have.
func TestADoubtOutlivesItsAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(&script{post: func(n int) *fault.Fault {
		if n == 1 {
			return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "redox_cut"}
		}
		return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "file_missing", Text: "it was not sent"}
	}}, nil)
	w.publish(jobJSON("job", "a"))
	w.drained()
	if got := describe(w.events()); got != "1/retrying! 2/unknown!" {
		t.Fatalf("events %q", got)
	}
	if r := w.events()[1].Data.Reason; r.Kind != string(fault.UnknownOutcome) || r.Code != "file_missing" || strings.Contains(r.Text, "not sent") {
		t.Errorf("the end says %+v", r)
	}
	if r := w.record("job"); r.Phase != job.Held {
		t.Errorf("the ledger says %s", r.Phase)
	}
	if n := len(w.messages("DEAD")); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

package deadletter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := w.held("a")
	// Its submitter publishes it again.
	if err := w.queue.Outbox().Submit(t.Context(), lane, "a", data); err != nil {
		t.Fatal(err)
	}
	if outcome, err := w.desk("ann").Resend(t.Context(), jobKey("a")); err != nil || outcome != Resent {
		t.Fatal(outcome, err)
	}
	w.want("resend", 2, 0, 0)
	sent := w.jobs()[1]
	if string(sent.Data) != string(data) || sent.Subject != "chartpost.jobs.live.good-health" {
		t.Errorf("%s has %s", sent.Subject, sent.Data)
	}
	r := w.found("a")
	if r.Phase != job.Held || !r.PossibleDuplicate || r.Attempt != 4 || r.Sequence != 7 || r.Owner != "operator ann" {
		t.Errorf("%+v", r)
	}
	if _, err := w.desk("ann").Resend(t.Context(), jobKey("a")); !errors.Is(err, ErrNone) {
		t.Errorf("once more: %v", err)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held("a")
	if outcome, err := w.desk("ann").Accept(t.Context(), jobKey("a")); err != nil || outcome != Accepted {
		t.Fatal(outcome, err)
	}
	w.want("accept", 0, 1, 0)
	told := w.stored("CHARTPOST_EVENTS")[0]
	event, err := schemas.DecodeEvent(told.Data)
	if err != nil {
		t.Fatal(err)
	}
	if d := event.Data; event.ID != "good-health/a/4/accepted" || d.Reason.Code != CodeResolved || d.Correlation["version"] != "1" || d.Operation != "documentreference-create" ||
		d.Receipt != nil || told.Subject != "chartpost.events.live.good-health.accepted" {
		t.Errorf("%s: %+v", told.Subject, event)
	}
	if r := w.found("a"); r.Phase != job.Accepted || r.Receipt != nil || r.Owner != "operator ann" {
		t.Errorf("%+v", r)
	}
}

// TestForgotten: dead letters are kept for longer than records.
func TestForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", jobText("a", "1"), schemas.StatusUnknown)
	w.bury("b", jobText("b", "1"), schemas.StatusUnknown)
	if _, err := w.desk("ann").Resend(t.Context(), jobKey("a")); err != nil {
		t.Fatal(err)
	}
	if r := w.found("a"); r.Phase != job.Held || !r.PossibleDuplicate || r.Attempt != 4 || r.Digest != digest(jobText("a", "1")) {
		t.Errorf("%+v", r)
	}
	if _, err := w.desk("ann").Accept(t.Context(), jobKey("b")); err != nil {
		t.Fatal(err)
	}
	if r := w.found("b"); r.Phase != job.Accepted {
		t.Errorf("%+v", r)
	}
	w.want("forgotten", 1, 1, 0)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make            func(w *world)
		resend, accept  string // parts of the errors; "" is success
		jobs, ev, stays int
	}{
		"nothing": {make: func(*world) {}, resend: "no dead letter", accept: "no dead letter"},
		"failed": {make: func(w *world) { w.bury("x", jobText("x", "1"), schemas.StatusFailed) },
			resend: "not unknown but failed", accept: "not unknown but failed", stays: 1},
		"accepted since": {make: func(w *world) {
			w.bury("x", jobText("x", "1"), schemas.StatusUnknown)
			w.record("x", jobText("x", "1"), job.Accepted)
		},
			resend: "accepted since", accept: "accepted since", stays: 1},
		"failed since": {make: func(w *world) {
			w.bury("x", jobText("x", "1"), schemas.StatusUnknown)
			w.record("x", jobText("x", "1"), job.Failed)
		},
			resend: "not unknown but failed", accept: "not unknown but failed", stays: 1},
		"sending again": {make: func(w *world) {
			w.bury("x", jobText("x", "1"), schemas.StatusUnknown)
			w.record("x", jobText("x", "1"), job.Sending)
			w.schedule("x", jobText("x", "1"))
		},
			accept: "under way again", jobs: 1, stays: 0},
		"another version": {make: func(w *world) {
			w.bury("x", jobText("x", "1"), schemas.StatusUnknown)
			w.record("x", jobText("x", "2"), job.Held)
		},
			resend: "another version", accept: "another version", stays: 1},
		"expired": {make: func(w *world) {
			data := []byte(strings.Replace(string(jobText("x", "1")), "2099-01-01T00:00:00Z", "2026-11-20T11:00:00Z", 1))
			w.bury("x", data, schemas.StatusUnknown)
			w.record("x", data, job.Held)
		}, resend: "expires_at has passed", ev: 1, stays: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.make(w)
			desk := w.desk("ann")
			desk.Now = func() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }
			_, accept := error(nil), error(nil)
			if c.accept != "" {
				_, accept = desk.Accept(t.Context(), jobKey("x"))
			}
			_, resend := desk.Resend(t.Context(), jobKey("x"))
			if c.accept == "" {
				_, accept = desk.Accept(t.Context(), jobKey("x"))
			}
			for _, one := range []struct {
				how  string
				err  error
				want string
			}{{"accept", accept, c.accept}, {"resend", resend, c.resend}} {
				if (one.err != nil) != (one.want != "") || one.err != nil && !strings.Contains(one.err.Error(), one.want) || one.err != nil && strings.Contains(one.err.Error(), "\n") {
					t.Errorf("%s: %v, want %q", one.how, one.err, one.want)
				}
			}
			w.want(name, c.jobs, c.ev, c.stays)
		})
	}
}

// TestAnIDOfTwoDestinations names two jobs: a decision that names the id alone is
// refused and names both, and one that names the destination is of that job alone.
func TestAnIDOfTwoDestinations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.held("a")
	other := schemas.Lane{Class: schemas.Live, Destination: "clinic"}
	data := []byte(strings.Replace(string(jobText("a", "1")), "good-health", "clinic", 1))
	there := schemas.KeyOf(other, "a")
	if _, _, err := w.ledger.Open(t.Context(), there, job.Record{Phase: job.Held, Attempt: 4, Sequence: 8, Digest: digest(data), Owner: "w-1", UpdatedAt: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	if err := w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{Lane: other, Data: data, Key: "dead/8/x/4/unknown", JobID: "a", Status: schemas.StatusUnknown}); err != nil {
		t.Fatal(err)
	}
	if stacks := Stacks(w.letters()); len(stacks) != 2 {
		t.Errorf("%d stacks, want one per destination", len(stacks))
	}
	for name, decide := range map[string]func(context.Context, schemas.JobKey) (Outcome, error){"resend": w.desk("ann").Resend, "accept": w.desk("ann").Accept} {
		_, err := decide(t.Context(), schemas.JobKey{ID: "a"})
		refused, ok := errors.AsType[*Refusal](err)
		if !ok || refused.Code != "ambiguous" || !strings.Contains(err.Error(), "clinic/a, good-health/a") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.want("refused", 0, 0, 2)
	if _, err := w.desk("ann").Accept(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	w.want("accepted at one", 0, 1, 1)
	if record, _, err := w.ledger.Find(t.Context(), there); err != nil || record.Phase != job.Accepted {
		t.Errorf("%+v, %v", record, err)
	}
	if r := w.found("a"); r.Phase != job.Held {
		t.Errorf("the job of the other destination changed: %+v", r)
	}
	if _, err := w.desk("ann").Resend(t.Context(), schemas.JobKey{ID: "a"}); err != nil {
		t.Errorf("the one that is left: %v", err)
	}
	w.want("resent at the other", 1, 1, 0)
}

// TestTheNewestUnknown is meant where a job has several letters.
func TestTheNewestUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", jobText("a", "1"), schemas.StatusUnknown)
	w.held("b")
	w.bury("a", jobText("a", "2"), schemas.StatusUnknown)
	w.bury("a", jobText("a", "3"), schemas.StatusDuplicate)
	w.record("a", jobText("a", "2"), job.Held)
	if _, err := w.desk("ann").Resend(t.Context(), jobKey("a")); err != nil {
		t.Fatal(err)
	}
	w.want("resend", 1, 0, 3)
	if sent := w.jobs()[0]; string(sent.Data) != string(jobText("a", "2")) {
		t.Errorf("%s", sent.Data)
	}
}

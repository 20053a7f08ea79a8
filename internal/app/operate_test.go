package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// TestMisaddressedJobs: a job on a subject that is no destination's ends as one
// on another destination's does: told of, buried, and gone from the queue.
func TestMisaddressedJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	tokens := map[string]string{
		"unescaped": "good_health", "lower-case": "good_5fhealth", "needless": "good_2Dhealth", "utf-8": "Krankenhaus-Zebedée", "long": strings.Repeat("Zebedee_", 40),
	}
	for id, token := range tokens {
		data, err := json.Marshal(w.job(id, []schemas.File{file}, to("good_health")))
		if err != nil {
			t.Fatal(err)
		}
		w.publishRaw("chartpost.jobs.live."+token, data)
	}
	w.publishRaw("chartpost.jobs.backfill.Zebedee_", []byte("no job at all"))
	w.publish(w.job("proper", []schemas.File{file}, to("good-health")))
	for id := range tokens {
		event := w.final(id)
		d := event.Data
		if d.Status != schemas.StatusFailed || d.Reason.Code != "subject_mismatch" || d.Destination != schemas.Misaddressed {
			t.Errorf("%s: %s %+v to %q", id, d.Status, d.Reason, d.Destination)
		}
		if encoded, err := event.Encode(); err != nil || strings.Contains(string(encoded), "Zebed") {
			t.Errorf("%s: %v", encoded, err)
		} else if _, err := schemas.DecodeEvent(encoded); err != nil {
			t.Error(err)
		}
	}
	if event := w.final("proper"); event.Data.Status != schemas.StatusAccepted {
		t.Errorf("the proper one: %+v", event.Data)
	}
	w.drained()
	letters := w.dead()
	if len(letters) != len(tokens)+1 {
		t.Errorf("%d dead letters, want %d", len(letters), len(tokens)+1)
	}
	for _, letter := range letters {
		if !strings.HasSuffix(letter.Subject, "._7Emisaddressed") {
			t.Errorf("a dead letter at %s", letter.Subject)
		}
		for name, values := range letter.Header {
			if strings.Contains(strings.Join(values, " "), "Zebed") {
				t.Errorf("the header %s holds the subject", name)
			}
		}
	}
	if n := len(w.sim.Messages()); n != 1 {
		t.Errorf("%d messages reached Redox, want the proper one", n)
	}
	if strings.Contains(w.log.String(), "Zebed") {
		t.Error("the log holds a subject")
	}
}

// TestResolving: an operator decides about jobs of unknown outcome, and the
// worker goes on from there.
func TestResolving(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.OnUnknown = "hold"
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 2}))
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	bucket, err := w.queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	desk := &deadletter.Service{Letters: w.queue, Publisher: w.queue.Outbox(), Ledger: ledger.New(bucket, ledger.Patience),
		Prefix: "chartpost", By: "operator", Now: time.Now}
	isAccepted := func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted }
	for _, id := range []string{"resent", "found"} {
		w.publish(w.job(id, []schemas.File{file}))
		if event := w.final(id); event.Data.Status != schemas.StatusUnknown {
			t.Fatalf("%s: %+v", id, event.Data)
		}
	}
	w.drained()

	if _, err := desk.Resend(t.Context(), schemas.JobKey{ID: "resent"}); err != nil {
		t.Fatal(err)
	}
	if event := w.await("resent", isAccepted); !event.Data.PossibleDuplicate || event.Data.Attempt != 2 || event.Data.Receipt == nil {
		t.Errorf("%+v", event.Data)
	}
	if _, err := desk.Accept(t.Context(), schemas.JobKey{Destination: "good-health", ID: "found"}); err != nil {
		t.Fatal(err)
	}
	if event := w.await("found", isAccepted); event.Data.PossibleDuplicate || event.Data.Attempt != 1 || event.Data.Reason.Code != deadletter.CodeResolved {
		t.Errorf("%+v", event.Data)
	}
	w.publish(w.job("found", []schemas.File{file}))
	w.await("found", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusDuplicate })
	w.drained()
	if n := len(w.sim.Messages()); n != 3 {
		t.Errorf("Redox took %d messages, want 3", n)
	}
}

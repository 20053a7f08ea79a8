package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

func (w *world) inject(faults ...redoxsim.Fault) {
	w.t.Helper()
	if err := w.sim.Inject(faults...); err != nil {
		w.t.Fatal(err)
	}
}

func toMessages(f redoxsim.Fault) redoxsim.Fault {
	f.Match = redoxsim.Match{Kind: redoxsim.MessageRequest}
	return f
}

// TestAPassingFault is tried again: within seconds in its slot, then by schedule,
// with each attempt and its reason in the events. In a lane that has failed no
// try is repeated in the slot.
func TestAPassingFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 4}))
	w.worker()
	w.publish(w.job("passing", []schemas.File{w.put("a.pdf", document(300_000, "a"))}))
	event := w.final("passing")
	if got, want := w.statuses("passing"), "1/uploaded 1/retrying 2/uploaded 2/retrying 3/uploaded 3/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if event.Data.PossibleDuplicate {
		t.Error("a refused message was called a possible duplicate")
	}
	retrying := w.await("passing", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusRetrying })
	if r := retrying.Data.Reason; r.Code != "redox_status_503" || r.Kind != "retryable" || retrying.Data.NextAttemptAt.IsZero() {
		t.Errorf("retrying says %+v at %s", r, retrying.Data.NextAttemptAt)
	}
	if n := len(w.sim.Uploads()); n != 1 {
		t.Errorf("the file was uploaded %d times", n)
	}
	w.drained()
}

// TestLostAnswers: wherever an outcome cannot be known the job is sent again
// with the same identifiers, and every event from then on says so.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, f := range []redoxsim.Fault{
		{Action: redoxsim.CutAfterProcessing, Times: 1},
		{Action: redoxsim.StatusAfterProcessing, Status: http.StatusGatewayTimeout, Times: 1},
	} {
		t.Run(string(f.Action), func(t *testing.T) {
			w := newWorld(t, "")
			w.inject(toMessages(f))
			w.worker()
			w.publish(w.job("lost", []schemas.File{w.put("a.pdf", document(100, "a"))}))
			w.final("lost")
			if got, want := w.statuses("lost"), "1/retrying! 2/accepted!"; got != want {
				t.Errorf("events %q, want %q", got, want)
			}
			messages := w.sim.Messages()
			if len(messages) != 2 {
				t.Fatalf("Redox took %d messages, want 2", len(messages))
			}
			if a, b := messages[0], messages[1]; a.BundleID != b.BundleID || a.DocumentID != b.DocumentID || a.BundleID == "" || a.DocumentID == "" || a.Body.SHA256 != b.Body.SHA256 {
				t.Errorf("the second sending has other identifiers or bytes: %s %s, %s %s", a.BundleID, b.BundleID, a.DocumentID, b.DocumentID)
			}
		})
	}
}

// TestWhatWasAcknowledgedIsNotSentAgain: Redox wants no message again that it has
// answered with a 2xx, so one whose answer makes no sense is held at once.
func TestWhatWasAcknowledgedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, action := range []redoxsim.Action{redoxsim.AnswerUnreadable, redoxsim.AnswerCut} {
		t.Run(string(action), func(t *testing.T) {
			w := newWorld(t, "")
			w.inject(toMessages(redoxsim.Fault{Action: action}))
			w.worker()
			w.publish(w.job("acknowledged", []schemas.File{w.put("a.pdf", document(100, "a"))}))
			event := w.final("acknowledged")
			if got, want := w.statuses("acknowledged"), "1/unknown"; got != want || event.Data.Reason.Kind != "unknown_outcome" {
				t.Errorf("events %q, reason %+v, want %q", got, event.Data.Reason, want)
			}
			w.drained()
			if n := len(w.sim.Messages()); n != 1 {
				t.Errorf("Redox took %d messages, want 1", n)
			}
		})
	}
}

// TestResendingEnds: a receiver that takes every message and loses every answer
// does not get a copy an attempt until the deadline.
func TestResendingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing}))
	w.worker()
	w.publish(w.job("copies", []schemas.File{w.put("a.pdf", document(100, "a"))}))
	w.final("copies")
	if got, want := w.statuses("copies"), "1/retrying! 2/retrying! 3/retrying! 4/unknown!"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	w.drained()
	if n := len(w.sim.Messages()); n != 4 {
		t.Errorf("Redox took %d copies, want 4", n)
	}
}

// TestTheQueueIsMadeAnew: the ledger outlives a jobs stream that was lost and
// made again, whose sequences begin at 1. A job that is published then is no old
// copy.
func TestTheQueueIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	stop := w.worker()
	file := w.put("a.pdf", document(100, "a"))
	late := schemas.File{Bucket: testBucket, Key: t.Name() + "/late.pdf"}
	failed, accepted := w.job("failed", []schemas.File{late}), w.job("accepted", []schemas.File{file})
	for i := range 5 {
		w.publish(w.job(fmt.Sprintf("before-%d", i), []schemas.File{file}))
	}
	w.publish(failed, accepted)
	w.final("failed")
	w.final("accepted")
	w.drained()
	stop()
	if err := w.js.DeleteStream(t.Context(), "CHARTPOST_JOBS"); err != nil {
		t.Fatal(err)
	}
	w.setup()
	w.put("late.pdf", document(100, "late"))
	w.worker()
	w.publish(failed, accepted)
	w.await("failed", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	w.await("accepted", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusDuplicate })
	w.drained()
}

// TestHold: with on-unknown hold nothing is sent twice; the job waits for a
// person.
func TestHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.OnUnknown = "hold"
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.CutAfterProcessing, Times: 1}))
	w.worker()
	w.publish(w.job("held", []schemas.File{w.put("a.pdf", document(100, "a"))}))
	if event := w.final("held"); event.Data.Status != schemas.StatusUnknown || event.Data.Reason.Kind != "unknown_outcome" {
		t.Errorf("%s %+v, want unknown", event.Data.Status, event.Data.Reason)
	}
	w.drained()
	if n := len(w.sim.Messages()); n != 1 {
		t.Errorf("Redox took %d messages, want 1", n)
	}
	if letters := w.dead(); len(letters) != 1 || letters[0].Header.Get("Chartpost-Status") != "unknown" {
		t.Errorf("%d dead letters, want the held job", len(letters))
	}
}

// TestTheSameJobTwice: a second publish of an accepted id sends nothing and
// carries the first receipt; other content under the same id is kept for a
// person.
func TestTheSameJobTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	job := w.job("twice", []schemas.File{w.put("a.pdf", document(100, "a"))})
	w.publish(job)
	first := w.final("twice")
	w.publish(job)
	isDuplicate := func(e schemas.Event) bool { return e.Data.Status == schemas.StatusDuplicate }
	second := w.await("twice", isDuplicate)
	if second.Data.Receipt == nil || second.Data.Receipt.Location != first.Data.Receipt.Location || second.Data.Reason != nil {
		t.Errorf("the duplicate says %+v %+v, want the first receipt", second.Data.Receipt, second.Data.Reason)
	}
	w.drained()
	if n := len(w.dead()); n != 0 {
		t.Errorf("%d dead letters for a plain repeat", n)
	}

	other := w.job("reused", job.Files)
	w.publish(other)
	w.final("reused")
	other.Files = []schemas.File{w.put("b.pdf", document(100, "b"))}
	w.publish(other)
	reused := w.await("reused", isDuplicate)
	if reused.Data.Reason == nil || reused.Data.Reason.Code != "id_reused" {
		t.Errorf("another job under the same id: %+v, want id_reused", reused.Data.Reason)
	}
	w.drained()
	if letters := w.dead(); len(letters) != 1 || !strings.Contains(string(letters[0].Data), "b.pdf") {
		t.Errorf("%d dead letters, want the job whose id was reused", len(letters))
	}
	if n := len(w.sim.Messages()); n != 2 {
		t.Errorf("Redox took %d messages, want 2", n)
	}
}

// TestAFailedJobRunsAgain when it is published again: that is how a person
// replays it after mending the cause.
func TestAFailedJobRunsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := schemas.File{Bucket: testBucket, Key: t.Name() + "/late.pdf"}
	job := w.job("mended", []schemas.File{file})
	w.publish(job)
	if event := w.final("mended"); event.Data.Reason == nil || event.Data.Reason.Code != "file_missing" {
		t.Fatalf("%s %+v, want file_missing", event.Data.Status, event.Data.Reason)
	}
	w.put("late.pdf", document(100, "late"))
	w.publish(job)
	w.await("mended", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	if got, want := w.statuses("mended"), "1/failed 2/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestStoppedBetweenUploadAndMessage: a worker that is stopped while the
// message waits for Redox, and started again, does not upload again.
func TestStoppedBetweenUploadAndMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.Grace = 0
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.HangBeforeBody, Times: 1}))
	stop := w.worker()
	// More than 1 MiB of message is sent with Expect: 100-continue, so that the
	// simulator can hang before a byte of it has left.
	job := w.job("stopped", []schemas.File{w.put("a.pdf", document(300_000, "a"))}, func(j *schemas.Job) {
		filler, _ := json.Marshal(strings.Repeat("x", 900_000))
		j.Message = json.RawMessage(`{"patient":` + patientJSON + `,"resource":{"resourceType":"DocumentReference","status":"current","description":` + string(filler) + `}}`)
	})
	w.publish(job)
	if err := w.sim.Await(t.Context(), func() bool { return w.sim.Faults()[0].Fired == 1 }); err != nil {
		t.Fatal(err)
	}
	stop()
	w.worker()
	w.await("stopped", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	if n := len(w.sim.Uploads()); n != 1 {
		t.Errorf("the file was uploaded %d times", n)
	}
	if n := len(w.sim.Messages()); n != 1 {
		t.Errorf("Redox took %d messages", n)
	}
	w.drained()
}

// TestStoppedWithinTheGraceTime finishes what is in hand.
func TestStoppedWithinTheGraceTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.Grace = patienceOfTests
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.DelayAnswer, Delay: 300 * time.Millisecond}))
	stop := w.worker()
	file := w.put("a.pdf", document(100, "a"))
	const jobs = 30
	for i := range jobs {
		w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}))
	}
	if _, err := w.sim.AwaitMessages(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	stop()
	sent := len(w.sim.Messages())
	if sent == 0 || sent == jobs {
		t.Fatalf("%d of %d jobs were sent when the worker had stopped; the test needs some of both", sent, jobs)
	}
	w.sim.ClearFaults()
	w.worker()
	for i := range jobs {
		id := fmt.Sprintf("job-%d", i)
		w.final(id)
		if got := w.statuses(id); got != "1/accepted" {
			t.Errorf("%s: events %q, want one", id, got)
		}
	}
	w.drained()
	if n := len(w.sim.Messages()); n != jobs {
		t.Errorf("Redox took %d messages for %d jobs", n, jobs)
	}
}

// TestTokensExpire: a token that Redox does not know any more is replaced at
// once, without a retry in the events.
func TestTokensExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	for i := range 3 {
		id := fmt.Sprintf("job-%d", i)
		w.publish(w.job(id, []schemas.File{file}))
		w.final(id)
		if got := w.statuses(id); got != "1/accepted" {
			t.Errorf("%s: events %q", id, got)
		}
		w.sim.RevokeTokens()
	}
}

// TestTheServerDies: NATS is killed and comes back while jobs are in hand;
// nothing is lost and nothing is sent twice unsaid.
func TestTheServerDies(t *testing.T) {
	t.Parallel()
	server := devtest.NATSProcess(t, devstack.NATSOptions{})
	w := newWorld(t, server.URL())
	w.settings.Delivery.Lease = 5 * time.Second
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.DelayAnswer, Delay: 20 * time.Millisecond}))
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	const jobs = 150
	for i := range jobs {
		w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}))
	}
	for _, n := range []int{20, 60} {
		if _, err := w.sim.AwaitMessages(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	said := 0
	for i := range jobs {
		id := fmt.Sprintf("job-%d", i)
		event := w.final(id)
		if event.Data.Status != schemas.StatusAccepted {
			t.Errorf("%s: %s %+v", id, event.Data.Status, event.Data.Reason)
		}
		if event.Data.PossibleDuplicate {
			said++
		}
	}
	w.drained()
	sent := map[string]int{}
	for _, m := range w.sim.Messages() {
		sent[m.BundleID]++
	}
	repeats := 0
	for _, n := range sent {
		repeats += n - 1
	}
	if len(sent) != jobs || repeats > said {
		t.Errorf("Redox took %d different messages for %d jobs and %d repeats; %d were announced", len(sent), jobs, repeats, said)
	}
}

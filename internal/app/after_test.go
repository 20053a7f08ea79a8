package app

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

func comesAfter(id string) func(*schemas.Job) { return func(j *schemas.Job) { j.After = id } }

// TestAReplacementDoesNotOvertake what it replaces, although that is refused for a
// while: Redox takes one after the other.
func TestAReplacementDoesNotOvertake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503, Times: 16}))
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	w.publish(w.job("first", []schemas.File{file}), w.job("second", []schemas.File{file}, comesAfter("first")))
	if e := w.final("second"); e.Data.Status != schemas.StatusAccepted || e.Data.Attempt != 1 {
		t.Errorf("%+v", e.Data)
	}
	first := w.final("first")
	second := w.final("second")
	if first.Data.Receipt == nil || !first.Data.Receipt.AcceptedAt.Before(second.Data.Receipt.AcceptedAt) {
		t.Errorf("accepted at %+v and %+v", first.Data.Receipt, second.Data.Receipt)
	}
	w.drained()
	if n := len(w.sim.Messages()); n != 2 {
		t.Errorf("Redox took %d messages", n)
	}
}

// TestReplayOfAPredecessorAndItsFollowers brings a chain that failed to its end.
func TestReplayOfAPredecessorAndItsFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.inject(toMessages(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 400, Times: 1}))
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	w.publish(w.job("first", []schemas.File{file}), w.job("second", []schemas.File{file}, comesAfter("first")), w.job("third", []schemas.File{file}, comesAfter("second")))
	for id, code := range map[string]string{"first": "redox_status_400", "second": "predecessor_failed", "third": "predecessor_failed"} {
		if e := w.final(id); e.Data.Status != schemas.StatusFailed || e.Data.Reason.Code != code {
			t.Fatalf("%s: %+v", id, e.Data)
		}
	}
	w.drained()
	bucket, err := w.queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	desk := &deadletter.Service{Letters: w.queue, Publisher: w.queue.Outbox(), Ledger: ledger.New(bucket, ledger.Patience), Prefix: "chartpost", By: "operator", Now: time.Now}
	var letters []natsq.Letter
	if err := w.queue.Letters(t.Context(), func(l natsq.Letter) bool { letters = append(letters, l); return true }); err != nil {
		t.Fatal(err)
	}
	for _, s := range deadletter.WithFollowers(deadletter.Stacks(letters), letters) {
		if _, err := desk.Replay(t.Context(), s.Newest, deadletter.Terms{}, s.Older...); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"first", "second", "third"} {
		w.await(id, func(e schemas.Event) bool { return e.Data.Status == schemas.StatusAccepted })
	}
	w.drained()
}

package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// inOrder is a pipeline that notes the order in which jobs are sent. A job meets
// the faults of its id, one for each try, and is accepted after them.
type inOrder struct {
	script
	mu     sync.Mutex
	sent   []string
	faults map[string][]*fault.Fault
	// gate holds a job back until it is closed.
	gate map[string]chan struct{}
}

func (s *inOrder) Deliver(ctx context.Context, _ schemas.Class, job pipeline.Understood, record *job.Record, journal pipeline.RecordStore, _ pipeline.Progress) error {
	if wait := s.gate[job.ID]; wait != nil {
		<-wait
	}
	s.mu.Lock()
	one := script{cut: s.cut, post: func(int) *fault.Fault {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = append(s.sent, job.ID)
		if next := s.faults[job.ID]; len(next) > 0 {
			s.faults[job.ID] = next[1:]
			return next[0]
		}
		return nil
	}}
	s.mu.Unlock()
	return one.send(ctx, record, journal)
}

func (s *inOrder) order() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.sent, " ")
}

var (
	passing  = &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "passing"}
	noAnswer = &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: "no_answer", Acknowledged: true}
)

// after is a job that comes after another, changed further by change.
func after(id, predecessor string, change ...func(*schemas.Job)) []byte {
	var job schemas.Job
	if err := json.Unmarshal(jobJSON(id, id), &job); err != nil {
		panic(err)
	}
	job.After = predecessor
	for _, one := range change {
		one(&job)
	}
	data, err := json.Marshal(job)
	if err != nil {
		panic(err)
	}
	return data
}

func expiring(in time.Duration) func(*schemas.Job) {
	return func(job *schemas.Job) {
		job.RequestedAt = time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
		job.ExpiresAt = time.Now().UTC().Add(in)
	}
}

// publishOn is publish for another lane.
func (w *world) publishOn(lane schemas.Lane, data []byte) {
	w.t.Helper()
	if _, err := w.js.Publish(w.t.Context(), schemas.JobSubject(w.prefix, lane), data); err != nil {
		w.t.Fatal(err)
	}
}

// eventsOf are the events of one job at goodHealth.
func (w *world) eventsOf(id string) []schemas.Event {
	w.t.Helper()
	return slices.DeleteFunc(w.events(), func(e schemas.Event) bool {
		return e.Data.JobID != id || e.Data.Destination != goodHealth.Destination
	})
}

// wantEvents holds the events of a job to what describe says of them.
func (w *world) wantEvents(id, want string) {
	w.t.Helper()
	if got := describe(w.eventsOf(id)); got != want {
		w.t.Errorf("%s has the events %s, want %s", id, got, want)
	}
}

// wantEnd holds the last event of a job to a status and a reason.
func (w *world) wantEnd(id string, status schemas.Status, code, text string) {
	w.t.Helper()
	events := w.eventsOf(id)
	if len(events) == 0 {
		w.t.Errorf("%s has no event", id)
		return
	}
	last := events[len(events)-1].Data
	if last.Status != status || last.Reason == nil || last.Reason.Code != code || !strings.Contains(last.Reason.Text, text) {
		w.t.Errorf("%s ended as %s with %+v, want %s, %s and %q", id, last.Status, last.Reason, status, code, text)
	}
}

// TestAJobIsSentAfterItsPredecessor although that is tried again, in a worker of one
// slot; meanwhile others are sent, and no attempt is counted. Chains keep their order.
func TestAJobIsSentAfterItsPredecessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Slots, w.settings.LaneConcurrency = 1, 1
	s := &inOrder{faults: map[string][]*fault.Fault{"a": {passing, passing}, "b": {passing}}}
	w.publish(after("c", "b"))
	w.publish(jobJSON("a", "a"))
	w.publish(after("b", "a"))
	w.publish(jobJSON("free", "free"))
	w.start(s, nil)
	w.drained()
	if got := s.order(); got != "a free a a b b c" {
		t.Errorf("sent %q", got)
	}
	w.wantEvents("a", "1/retrying 2/retrying 3/accepted")
	w.wantEvents("b", "0/retrying 1/retrying 2/accepted")
	w.wantEvents("c", "0/retrying 1/accepted")
	if r := w.eventsOf("b")[0].Data.Reason; r == nil || r.Code != "predecessor_open" || r.Path != "/after" || r.Kind != "retryable" {
		t.Errorf("the reason of the wait is %+v", r)
	}
	if p := w.record("c").Predecessor; p == nil || p.ID != "b" || !p.Accepted || p.Waits == 0 {
		t.Errorf("the record says %+v", p)
	}
}

// TestAnAcceptedPredecessorCostsNoWait, in whichever class it came.
func TestAnAcceptedPredecessorCostsNoWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &inOrder{}
	w.start(s, nil)
	w.publishOn(schemas.Lane{Class: schemas.Backfill, Destination: goodHealth.Destination}, jobJSON("a", "a"))
	w.drained()
	w.publish(after("b", "a"))
	w.drained()
	w.wantEvents("b", "1/accepted")
	if got := s.order(); got != "a b" {
		t.Errorf("sent %q", got)
	}
}

// TestAPredecessorThatEndedOtherwise ends its followers too, down the chain.
func TestAPredecessorThatEndedOtherwise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &inOrder{faults: map[string][]*fault.Fault{"failed": {refused}, "unknown": {noAnswer}}}
	w.remember("cancelled", job.Record{Phase: job.Cancelled, Attempt: 1, Sequence: 1})
	w.publish(jobJSON("failed", "x"))
	w.publish(jobJSON("unknown", "y"))
	w.start(s, nil)
	w.until("both have ended", func() bool { return len(w.eventsOf("failed")) == 1 && len(w.eventsOf("unknown")) == 1 })
	for _, id := range []string{"failed", "unknown", "cancelled"} {
		w.publish(after("after-"+id, id))
	}
	w.drained()
	w.publish(after("last", "after-failed"))
	w.drained()
	for _, id := range []string{"failed", "unknown", "cancelled"} {
		w.wantEvents("after-"+id, "1/failed")
		w.wantEnd("after-"+id, schemas.StatusFailed, "predecessor_failed", "ended as "+id)
	}
	w.wantEnd("last", schemas.StatusFailed, "predecessor_failed", "ended as failed")
	if got := s.order(); got != "failed unknown" && got != "unknown failed" {
		t.Errorf("sent %q", got)
	}
	letters := 0
	for _, m := range w.messages("DEAD") {
		if m.Header.Get("Chartpost-Reason-Code") == "predecessor_failed" {
			letters++
			if m.Header.Get("Chartpost-After") == "" || m.Header.Get("Chartpost-Reason-Path") != "/after" {
				t.Errorf("a dead letter says %v", m.Header)
			}
		}
	}
	if letters != 4 {
		t.Errorf("%d dead letters of followers", letters)
	}
}

// TestAPredecessorThatIsSentAgain is waited for, also while no worker has taken the
// copy yet: a job that failed with it goes on when both are sent again.
func TestAPredecessorThatIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &inOrder{faults: map[string][]*fault.Fault{"a": {refused}}}
	w.start(s, nil)
	first, second := jobJSON("a", "a"), after("b", "a")
	w.publish(first)
	w.drained()
	w.publish(second)
	w.drained()
	w.wantEnd("b", schemas.StatusFailed, "predecessor_failed", "ended as failed")
	failed := w.record("a")
	failed.Resent = time.Now().UTC()
	w.remember("a", failed)
	w.publish(second)
	w.until("it waits", func() bool { return w.record("b").Phase == job.Waiting })
	w.publish(first)
	w.drained()
	w.wantEvents("a", "1/failed 2/accepted")
	w.wantEvents("b", "1/failed 1/retrying 2/accepted")
	if r := w.record("a"); !r.Resent.IsZero() {
		t.Errorf("the record says %+v", r)
	}
	if got := s.order(); got != "a a b" {
		t.Errorf("sent %q", got)
	}
}

// TestAPredecessorThatComesLate is waited for.
func TestAPredecessorThatComesLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.Policy.Unseen = time.Minute
	s := &inOrder{}
	w.start(s, nil)
	w.publish(after("b", "a"))
	w.until("it waits", func() bool { return len(w.eventsOf("b")) == 1 })
	w.publish(jobJSON("a", "a"))
	w.drained()
	w.wantEvents("b", "0/retrying 1/accepted")
	if got := s.order(); got != "a b" {
		t.Errorf("sent %q", got)
	}
}

// TestAPredecessorThatIsNeverSeen: the job ends by the stated time, after one event
// that it waits.
func TestAPredecessorThatIsNeverSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &inOrder{}
	w.start(s, nil)
	w.publish(after("b", "misspelled"))
	w.drained()
	w.wantEvents("b", "0/retrying 1/failed")
	w.wantEnd("b", schemas.StatusFailed, "predecessor_failed", "does not know")
	if p := w.record("b").Predecessor; p == nil || p.Unseen < 4 {
		t.Errorf("the record says %+v", p)
	}
	if got := s.order(); got != "" {
		t.Errorf("sent %q", got)
	}
}

// TestJobsThatWaitForEachOther end with their expires_at, and are not sent.
func TestJobsThatWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := &inOrder{}
	w.start(s, nil)
	w.publish(after("a", "b", expiring(6*time.Second)))
	w.publish(after("b", "c", expiring(8*time.Second)))
	w.publish(after("c", "a", expiring(8*time.Second)))
	w.drained()
	if got := s.order(); got != "" {
		t.Errorf("sent %q", got)
	}
	w.wantEnd("a", schemas.StatusFailed, "expired", "predecessor_open")
	for _, id := range []string{"b", "c"} {
		events := w.eventsOf(id)
		if last := events[len(events)-1].Data; last.Status != schemas.StatusFailed {
			t.Errorf("%s is %s with %+v", id, last.Status, last.Reason)
		}
	}
}

// TestAJobOfAnotherDestinationIsNoPredecessor: whatever became of it there, its
// destination's neighbors learn as much as of a job that does not exist.
func TestAJobOfAnotherDestinationIsNoPredecessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	elsewhere := schemas.Lane{Class: schemas.Live, Destination: "elsewhere"}
	phases := []job.Phase{job.Accepted, job.Failed, job.Working, job.Held, job.Waiting}
	for i, phase := range phases {
		record := job.Record{Phase: phase, Attempt: 1, Sequence: 1}
		if _, _, err := w.ledger.Open(t.Context(), schemas.KeyOf(elsewhere, fmt.Sprintf("there-%d", i)), record); err != nil {
			t.Fatal(err)
		}
	}
	s := &inOrder{}
	w.start(s, nil)
	w.publish(after("none", "nowhere"))
	for i := range phases {
		w.publish(after(fmt.Sprintf("here-%d", i), fmt.Sprintf("there-%d", i)))
	}
	w.drained()
	tell := func(id string) string {
		var text string
		for _, e := range w.eventsOf(id) {
			reason := schemas.Reason{}
			if e.Data.Reason != nil {
				reason = *e.Data.Reason
			}
			text += fmt.Sprintf("%d %s %+v\n", e.Data.Attempt, e.Data.Status, reason)
		}
		return text
	}
	for i := range phases {
		if got, want := tell(fmt.Sprintf("here-%d", i)), tell("none"); got != want {
			t.Errorf("of a job that is %s there, the events say\n%s, and of none\n%s", phases[i], got, want)
		}
	}
	if got := s.order(); got != "" {
		t.Errorf("sent %q", got)
	}
}

// TestAFollowerOutlivesItsWorker: wherever the worker is cut off, the predecessor is
// sent before its follower, and each once.
func TestAFollowerOutlivesItsWorker(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 14; at++ {
		for _, afterStep := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%t", at, afterStep), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.lease = 3 * time.Second
				w.settings.Slots, w.settings.LaneConcurrency = 1, 1
				w.publish(after("b", "a"))
				cut := &cut{at: at, after: afterStep}
				dying := &inOrder{script: script{cut: cut}}
				stop := w.start(dying, cut)
				w.until("it waits, or its worker is cut off", func() bool { return cut.reached() || w.stream("DUE").CachedInfo().State.Msgs > 0 })
				stop()
				s := &inOrder{faults: map[string][]*fault.Fault{"a": {passing}}}
				w.start(s, nil)
				w.publish(jobJSON("a", "a"))
				w.drained()
				if got := dying.order() + s.order(); got != "a a b" {
					t.Errorf("sent %q", got)
				}
				if events := describe(w.eventsOf("b")); events != "0/retrying 1/accepted" {
					t.Errorf("the events of the follower: %s", events)
				}
			})
		}
	}
}

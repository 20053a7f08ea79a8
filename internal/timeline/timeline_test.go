package timeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestMain(m *testing.M) { devtest.Main(m) }

var lane = schemas.Lane{Class: schemas.Live, Destination: "good-health"}

func jobKey(id string) schemas.JobKey { return schemas.KeyOf(lane, id) }

type world struct {
	t      *testing.T
	queue  *natsq.Conn
	ledger *ledger.Ledger
	js     jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	queue, err := natsq.Connect(natsq.Config{Prefix: "chartpost", Options: []nats.Option{nats.Timeout(time.Minute), stack.InProcess()}}, new(devtest.Log).Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	patient, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := queue.Setup(patient, natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, AuditAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.Timeout(time.Minute), stack.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, queue: queue, ledger: ledger.New(bucket, ledger.Patience), js: js}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func jobText(id string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":"2099-01-01T00:00:00Z",
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf"}],
		"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}}`, id)
}

// publish puts a job into its lane and tells of the copy.
func (w *world) publish(id string) (sequence uint64, stored time.Time) {
	w.t.Helper()
	ack, err := w.js.Publish(w.t.Context(), schemas.JobSubject("chartpost", lane), jobText(id))
	w.must(err)
	s, err := w.js.Stream(w.t.Context(), "CHARTPOST_JOBS")
	w.must(err)
	msg, err := s.GetMsg(w.t.Context(), ack.Sequence)
	w.must(err)
	return ack.Sequence, msg.Time
}

func (w *world) remove(sequence uint64) {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), "CHARTPOST_JOBS")
	w.must(err)
	w.must(s.DeleteMsg(w.t.Context(), sequence))
}

func (w *world) record(id string, r job.Record) {
	w.t.Helper()
	sum := sha256.Sum256(jobText(id))
	r.Digest, r.Owner, r.UpdatedAt = hex.EncodeToString(sum[:]), "w-1", time.Now().UTC()
	_, _, err := w.ledger.Open(w.t.Context(), jobKey(id), r)
	w.must(err)
}

func (w *world) tell(id string, attempt int, statuses ...schemas.Status) {
	w.t.Helper()
	for _, status := range statuses {
		d := schemas.EventData{JobID: id, Class: lane.Class, Destination: lane.Destination, Status: status, Attempt: attempt,
			Reason: &schemas.Reason{Kind: "retryable", Code: "x"}, Receipt: &schemas.Receipt{Status: 200}}
		if status == schemas.StatusRetrying {
			d.NextAttemptAt = time.Now()
		}
		w.must(w.queue.Outbox().Tell(w.t.Context(), lane, schemas.NewEvent("chartpost", d, time.Now())))
	}
}

func (w *world) gather(id string, o Options) (*Job, string, error) {
	w.t.Helper()
	j, err := Gather(w.t.Context(), w.queue, w.ledger, jobKey(id), o)
	if err != nil && !errors.Is(err, ErrUnknown) {
		w.t.Fatal(err)
	}
	seen := ""
	for _, e := range j.Events {
		seen += fmt.Sprintf("%s %d;", e.Event.Data.Status, e.Event.Data.Attempt)
	}
	return j, seen, err
}

// noise is what other jobs of the lane do.
func (w *world) noise(n int) {
	for i := range n {
		w.tell(fmt.Sprintf("other-%d-%d", i, time.Now().UnixNano()), 1, schemas.StatusAccepted)
	}
}

// TestAcceptedAtOnce: of a job without trouble only the events since it was
// stored are read, up to its own.
func TestAcceptedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.noise(50)
	sequence, stored := w.publish("a")
	w.tell("a", 1, schemas.StatusUploaded, schemas.StatusAccepted)
	w.record("a", job.Record{Phase: job.Accepted, Attempt: 1, Sequence: sequence, Stored: stored})
	w.remove(sequence)
	w.noise(50)
	j, seen, err := w.gather("a", Options{Waiting: 10})
	if err != nil || seen != "uploaded 1;accepted 1;" || j.Copy != nil || j.Cost.Events > 3 || j.Cost.Waiting != 0 {
		t.Errorf("%s at a cost of %+v, %v", seen, j.Cost, err)
	}
	if got, known := j.Lane(); !known || got != lane {
		t.Errorf("lane %v", got)
	}
}

// TestAfterTrouble: the events of all attempts, a schedule, a letter, the audit.
func TestAfterTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell("a", 1, schemas.StatusUploaded, schemas.StatusRetrying)
	w.noise(5)
	w.tell("a", 2, schemas.StatusRetrying)
	w.record("a", job.Record{Phase: job.Waiting, Attempt: 2, Sequence: 99})
	at := time.Now().Add(time.Hour)
	w.must(w.queue.Outbox().Later(t.Context(), worker.Schedule{Lane: lane, JobID: "a", Data: jobText("a"), Attempt: 3, At: at}))
	j, seen, err := w.gather("a", Options{})
	if err != nil || seen != "uploaded 1;retrying 1;retrying 2;" || j.Schedule == nil || j.Schedule.Attempt != 3 {
		t.Errorf("%s, %+v, %v", seen, j.Schedule, err)
	}

	w.tell("b", 1, schemas.StatusFailed)
	w.must(w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{Lane: lane, Data: jobText("b"), Key: "dead/1/x/1/failed", JobID: "b", Status: schemas.StatusFailed}))
	record := schemas.NewAudit("chartpost", schemas.AuditData{Action: schemas.DeadShow, Stage: schemas.StageRequested, Command: "A",
		Operator: schemas.Operator{Name: "ann", System: "ann@ops"}, Target: schemas.Target{JobID: "b"}}, 1, time.Now())
	w.must(w.queue.Audit(t.Context(), record))
	j, seen, err = w.gather("b", Options{}) // the ledger has forgotten it
	if err != nil || seen != "failed 1;" || len(j.Letters) != 1 || len(j.Audits) != 1 || j.Record != nil || j.NoAudit {
		t.Errorf("%s, %+v, %v", seen, j, err)
	}
	w.must(w.js.DeleteStream(t.Context(), "CHARTPOST_AUDIT"))
	if j, _, err = w.gather("b", Options{}); err != nil || !j.NoAudit {
		t.Errorf("without an audit: %v", err)
	}
}

func TestQueuedAndUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("first")
	w.publish("a")
	j, _, err := w.gather("a", Options{Waiting: 10})
	if err != nil || j.Copy == nil || j.Copy.Lane != lane || j.Cost.Waiting != 2 {
		t.Errorf("%+v, %v", j, err)
	}
	if _, _, err := w.gather("a", Options{Waiting: 1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("looked no further than one: %v", err)
	}
	if _, _, err := w.gather("nobody", Options{Waiting: 10}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	// Forgotten by the ledger: its events are found where somebody says from when.
	w.tell("old", 1, schemas.StatusAccepted)
	if _, _, err := w.gather("old", Options{}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, seen, err := w.gather("old", Options{Since: time.Now().Add(-time.Minute)}); err != nil || seen != "accepted 1;" {
		t.Error(seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Gather(ctx, w.queue, w.ledger, jobKey("a"), Options{}); err == nil {
		t.Error("an interrupted search is none")
	}
}

// TestAfterAnother: the job that must be accepted first is named wherever this one is:
// in its lane, behind a schedule, ended, or in the dead letters alone.
func TestAfterAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	follower := func(id string) []byte {
		return bytes.Replace(jobText(id), []byte(`"id"`), []byte(`"after":"first","id"`), 1)
	}
	_, err := w.js.Publish(t.Context(), schemas.JobSubject("chartpost", lane), follower("queued"))
	w.must(err)
	w.must(w.queue.Outbox().Later(t.Context(), worker.Schedule{Lane: lane, JobID: "waiting", Data: follower("waiting"), Attempt: 1, At: time.Now().Add(time.Hour)}))
	w.record("waiting", job.Record{Phase: job.Waiting, Sequence: 97, Predecessor: &job.Predecessor{ID: "first", Waits: 1}})
	w.record("ended", job.Record{Phase: job.Accepted, Sequence: 98, Attempt: 1, Predecessor: &job.Predecessor{ID: "first", Accepted: true}})
	w.must(w.queue.Outbox().Bury(t.Context(), worker.DeadLetter{Lane: lane, Data: follower("dead"), Key: "dead/1/x/1/failed", JobID: "dead", After: "first", Status: schemas.StatusFailed}))
	w.record("free", job.Record{Phase: job.Accepted, Sequence: 99, Attempt: 1})
	for id, want := range map[string]string{"queued": "first", "waiting": "first", "ended": "first", "dead": "first", "free": ""} {
		if j, _, err := w.gather(id, Options{Waiting: 10}); err != nil || j.After() != want {
			t.Errorf("%s comes after %q, want %q; %v", id, j.After(), want, err)
		}
	}
}

// TestScans are the bounds of what is read.
func TestScans(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	first := &job.Record{Phase: job.Accepted, Attempt: 1, Stored: at, UpdatedAt: at.Add(time.Minute)}
	afterWait := &job.Record{Phase: job.Accepted, Attempt: 1, Stored: at, Published: at.Add(-time.Hour), UpdatedAt: at.Add(time.Minute)}
	third := &job.Record{Phase: job.Accepted, Attempt: 3, Stored: at, UpdatedAt: at.Add(time.Minute)}
	working := &job.Record{Phase: job.Working, Attempt: 3, Stored: at, UpdatedAt: at}
	early := natsq.StoredEvent{Stored: at.Add(-48 * time.Hour), Event: schemas.Event{Data: schemas.EventData{Class: lane.Class, Destination: lane.Destination}}}
	for name, c := range map[string]struct {
		job          Job
		since        time.Time
		rare, common time.Time
		until        time.Time
		wanted       bool
	}{
		"first attempt":         {job: Job{Record: first}, rare: at, common: at, until: first.UpdatedAt.Add(tellTime), wanted: true},
		"first, after a wait":   {job: Job{Record: afterWait}, rare: at.Add(-time.Hour), common: at.Add(-time.Hour), until: at.Add(time.Minute + tellTime), wanted: true},
		"third, nothing found":  {job: Job{Record: third}, common: third.UpdatedAt.Add(-attemptTime), until: third.UpdatedAt.Add(tellTime), wanted: true},
		"third, earlier ones":   {job: Job{Record: third, Events: []natsq.StoredEvent{early}}, common: early.Stored.Add(-attemptTime), until: third.UpdatedAt.Add(tellTime), wanted: true},
		"under way":             {job: Job{Record: working}, common: at.Add(-attemptTime), wanted: true},
		"a letter alone":        {job: Job{Letters: []natsq.Letter{{Buried: at, Lane: lane}}}, common: at.Add(-attemptTime), until: at.Add(tellTime), wanted: true},
		"a copy alone":          {job: Job{Copy: &natsq.JobCopy{Stored: at, Lane: lane}}, rare: at, common: at, wanted: true},
		"nothing":               {},
		"nothing, from then on": {since: at, rare: at, common: at, wanted: true},
		"first, from then on":   {job: Job{Record: first}, since: at.Add(-time.Hour), rare: at.Add(-time.Hour), common: at.Add(-time.Hour), until: first.UpdatedAt.Add(tellTime), wanted: true},
	} {
		rare, _ := c.job.rare(Options{Since: c.since})
		common, wanted := c.job.common(Options{Since: c.since})
		if !rare.Since.Equal(c.rare) || wanted != c.wanted || wanted && (!common.Since.Equal(c.common) || !common.Until.Equal(c.until)) {
			t.Errorf("%s: rare from %s; common %v from %s to %s", name, rare.Since, wanted, common.Since, common.Until)
		}
		if _, known := c.job.Lane(); known != (common.Destination != "") {
			t.Errorf("%s: the lane %q is looked at", name, common.Destination)
		}
	}
}

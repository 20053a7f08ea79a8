package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// jobKey names a job of that lane.
func jobKey(id string) schemas.JobKey { return schemas.KeyOf(lane, id) }

// world is a queue and a ledger on a real server.
type world struct {
	t      *testing.T
	queue  *natsq.Conn
	ledger *ledger.Ledger
	js     jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	queue, err := natsq.Connect(natsq.Config{Prefix: "chartpost", Options: []nats.Option{stack.InProcess()}}, new(devtest.Log).Logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	patient, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := queue.Setup(patient, natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", stack.InProcess(), nats.Timeout(time.Minute))
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

func (w *world) desk(by string) *Service {
	return &Service{Letters: w.queue, Publisher: w.queue.Outbox(), Ledger: w.ledger, Prefix: "chartpost", By: "operator " + by, Now: time.Now}
}

// jobText is a job as published; version tells two of the same id apart.
func jobText(id, version string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":"2099-01-01T00:00:00Z",
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf"}],
		"correlation":{"version":%q},
		"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"}}}`, id, version)
}

func (w *world) bury(id string, data []byte, status schemas.Status) {
	w.t.Helper()
	err := w.queue.Outbox().Bury(w.t.Context(), worker.DeadLetter{
		Lane: lane, Data: data, Key: fmt.Sprintf("dead/7/%s/4/%s", digest(data)[:16], status), JobID: id, Status: status,
		Reason: schemas.Reason{Kind: "unknown_outcome", Code: "no_answer", Text: "no answer came"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) record(id string, data []byte, phase job.Phase) {
	w.t.Helper()
	_, created, err := w.ledger.Open(w.t.Context(), jobKey(id), job.Record{Phase: phase, Attempt: 4, Sequence: 7, Digest: digest(data), Owner: "w-1",
		Reason: &schemas.Reason{Kind: "unknown_outcome", Code: "no_answer"}, UpdatedAt: time.Now().UTC()})
	if err != nil || !created {
		w.t.Fatal(created, err)
	}
}

// held is a job that ended as unknown.
func (w *world) held(id string) []byte {
	data := jobText(id, "1")
	w.record(id, data, job.Held)
	w.bury(id, data, schemas.StatusUnknown)
	return data
}

func (w *world) found(id string) job.Record {
	w.t.Helper()
	record, ok, err := w.ledger.Find(w.t.Context(), jobKey(id))
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	return record
}

// stored reads all messages of a stream.
func (w *world) stored(name string) []*jetstream.RawStreamMsg {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	state := s.CachedInfo().State
	var all []*jetstream.RawStreamMsg
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		msg, err := s.GetMsg(w.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, msg)
	}
	return all
}

// jobs are the copies of jobs in their lanes, and the schedules that bring some
// back. What has moved to its lane and is not removed yet counts once.
func (w *world) jobs() []*jetstream.RawStreamMsg {
	w.t.Helper()
	devtest.InLane(w.t, w.js, "chartpost")
	all := w.stored("CHARTPOST_JOBS")
	for _, msg := range w.stored("CHARTPOST_DUE") {
		if !strings.HasPrefix(msg.Subject, "chartpost.due.") {
			all = append(all, msg)
		}
	}
	return all
}

// emptyQueue loses all jobs that wait.
func (w *world) emptyQueue() {
	w.t.Helper()
	devtest.Arrived(w.t, w.js, "chartpost")
	for _, name := range []string{"CHARTPOST_JOBS", "CHARTPOST_DUE"} {
		stream, err := w.js.Stream(w.t.Context(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, msg := range w.stored(name) {
			if err := stream.DeleteMsg(w.t.Context(), msg.Sequence); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// want holds the streams to their numbers of jobs, events and dead letters.
func (w *world) want(what string, jobs, events, dead int) {
	w.t.Helper()
	if got := len(w.jobs()); got != jobs {
		w.t.Errorf("%s: the queue has %d messages, want %d", what, got, jobs)
	}
	for name, n := range map[string]int{"EVENTS": events, "DEAD": dead} {
		if got := len(w.stored("CHARTPOST_" + name)); got != n {
			w.t.Errorf("%s: %s has %d messages, want %d", what, name, got, n)
		}
	}
}

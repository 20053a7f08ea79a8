package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// limit is how long a test waits for what must happen.
const limit = 4 * time.Minute

// worlds counts the worlds of this test binary, for names.
var worlds atomic.Int64

var goodHealth = schemas.Lane{Class: schemas.Live, Destination: "good-health"}

// world is the streams and the ledger of one test, and its workers' settings.
type world struct {
	// outbox, if any, stands between a worker and what it publishes.
	outbox   func(worker.Outbox) worker.Outbox
	t        testing.TB
	prefix   string
	js       jetstream.JetStream
	queue    *natsq.Conn
	ledger   *ledger.Ledger
	settings worker.Settings
	lease    time.Duration
	log      *logBuffer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL())
}

// newWorldOn makes a world on a server that others may share: it has a prefix of
// its own.
func newWorldOn(t testing.TB, url string) *world {
	t.Helper()
	w := &world{t: t, prefix: fmt.Sprintf("w%d", worlds.Add(1)), lease: 30 * time.Second, log: &logBuffer{}}
	w.settings = worker.Settings{
		Prefix: w.prefix, Slots: 4, LaneConcurrency: 4, Grace: 10 * time.Second,
		Policy:  job.Policy{OnUnknown: job.ResendUnknown, First: 500 * time.Millisecond, Longest: time.Second, Unseen: 2 * time.Second},
		Backoff: worker.Backoff{First: 500 * time.Millisecond, Longest: time.Second},
	}
	nc, err := nats.Connect(url, nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(limit)); err != nil {
		t.Fatal(err)
	}
	if w.queue, err = natsq.Connect(natsq.Config{URL: url, Prefix: w.prefix, Name: "test", Options: []nats.Option{nats.Timeout(limit)}}, w.log.logger()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.queue.Close() })
	patient, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := w.queue.Setup(patient, natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	bucket, err := w.queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = ledger.New(bucket, ledger.Patience)
	return w
}

// start runs a worker over the real queue and ledger, with its ports cut where
// cut says; stop ends it and waits.
func (w *world) start(d worker.Deliverer, cut *cut) (stop func()) {
	w.t.Helper()
	return w.startOn(d, nil, cut)
}

// startOn is start; through, if any, stands between the queue and the worker.
func (w *world) startOn(d worker.Deliverer, through func(worker.Intake) worker.Intake, cut *cut) (stop func()) {
	w.t.Helper()
	intake, err := w.queue.Intake(natsq.LaneSettings{Concurrency: w.settings.LaneConcurrency, Lease: w.lease}, worker.Answers(w.settings.Slots))
	if err != nil {
		w.t.Fatal(err)
	}
	control, err := w.queue.Control(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	settings := w.settings
	settings.Name, settings.Lease = fmt.Sprintf("worker-%d", worlds.Add(1)), w.lease
	var in worker.Intake = intake
	if through != nil {
		in = through(intake)
	}
	var out worker.Outbox = w.queue.Outbox()
	if w.outbox != nil {
		out = w.outbox(out)
	}
	var book worker.Ledger = w.ledger
	if cut != nil {
		in, out, book = cut.intake(intake), &cutOutbox{out, cut}, &cutLedger{book, cut}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		worker.New(settings, worker.Queue{Intake: in, Outbox: out, Control: control, Budget: plenty{}}, book, d, w.log.logger()).Run(ctx)
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case <-ended:
			case <-time.After(limit):
				w.t.Errorf("the worker does not stop\n%s", w.log.tail())
			}
			if cut != nil {
				cut.forward.Wait()
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func jobJSON(id, extra string) []byte {
	now := time.Now().UTC()
	data, err := json.Marshal(schemas.Job{
		ID: id, Operation: schemas.DocumentReferenceCreate,
		Destination: schemas.Destination{Slug: goodHealth.Destination, Environment: schemas.Development},
		Files:       []schemas.File{{Bucket: "reports", Key: extra + ".pdf"}},
		Message: json.RawMessage(`{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],` +
			`"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},"resource":{"resourceType":"DocumentReference","status":"current"}}`),
		RequestedAt: now.Truncate(time.Second), ExpiresAt: now.Add(time.Hour).Truncate(time.Second),
	})
	if err != nil {
		panic(err)
	}
	return data
}

// publish gives the sequence the copy got.
func (w *world) publish(data []byte) uint64 {
	w.t.Helper()
	ack, err := w.js.Publish(w.t.Context(), schemas.JobSubject(w.prefix, goodHealth), data)
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

func (w *world) stream(name string) jetstream.Stream {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), strings.ToUpper(w.prefix)+"_"+name)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// messages are all messages of a stream, in order.
func (w *world) messages(name string) []*jetstream.RawStreamMsg {
	w.t.Helper()
	s := w.stream(name)
	state := s.CachedInfo().State
	var list []*jetstream.RawStreamMsg
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(w.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func (w *world) events() []schemas.Event {
	w.t.Helper()
	var list []schemas.Event
	for _, m := range w.messages("EVENTS") {
		var e schemas.Event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// describe is the events as "attempt/status", with a "!" where a second sending
// is admitted.
func describe(events []schemas.Event) string {
	var parts []string
	for _, e := range events {
		part := fmt.Sprintf("%d/%s", e.Data.Attempt, e.Data.Status)
		if e.Data.PossibleDuplicate {
			part += "!"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

// until waits for a condition of the streams.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %s; events: %s\n%s", what, limit, describe(w.events()), w.log.tail())
		}
		<-ticker.C
	}
}

// drained waits until the queue holds neither job nor schedule.
func (w *world) drained() {
	w.t.Helper()
	w.until("the queue is empty", func() bool { return w.waiting() == 0 })
}

// waiting counts the jobs in the lanes, those that wait for their next attempt, and
// those on their way from there. A job may move from one stream to the other while
// they are read: they are read again until nothing was stored meanwhile.
func (w *world) waiting() uint64 {
	read := func() (msgs, last uint64) {
		due, jobs := w.stream("DUE").CachedInfo().State, w.stream("JOBS").CachedInfo().State
		return due.Msgs + jobs.Msgs, due.LastSeq + jobs.LastSeq
	}
	msgs, last := read()
	for {
		again, now := read()
		if now == last {
			return max(msgs, again)
		}
		msgs, last = again, now
	}
}

// keyOf is that of a job at goodHealth.
func keyOf(id string) schemas.JobKey { return schemas.KeyOf(goodHealth, id) }

// remember puts a record into the ledger, as another worker left it.
func (w *world) remember(id string, r job.Record) {
	w.t.Helper()
	page, created, err := w.ledger.Open(w.t.Context(), keyOf(id), r)
	if err == nil && !created {
		err = page.Save(w.t.Context(), r)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// lane is the state of the lane that jobs are published to.
func (w *world) lane() worker.LaneState {
	control, err := w.queue.Control(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	state, err := control.Get(w.t.Context(), goodHealth)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

func (w *world) record(id string) job.Record {
	w.t.Helper()
	r, ok, err := w.ledger.Find(w.t.Context(), keyOf(id))
	if err != nil || !ok {
		w.t.Fatalf("the ledger of %s: %t, %v", id, ok, err)
	}
	return r
}

// script is a pipeline whose sendings end as the script says. It keeps the
// order of a real one: the ledger says sending, the post, the ledger says
// accepted.
type script struct {
	cut *cut
	// post says what comes of the n-th post, from 1; a nil fault is acceptance.
	post  func(n int) *fault.Fault
	posts atomic.Int32
	// taken counts the posts that Redox has taken, whatever it answered.
	taken atomic.Int32
	// understand and deliver replace what they are named for.
	understand func(data []byte) (pipeline.Understood, error)
	deliver    func(ctx context.Context, record *job.Record, journal pipeline.RecordStore) error
}

func (s *script) Understand(lane schemas.Lane, data []byte) (pipeline.Understood, error) {
	if s.understand != nil {
		return s.understand(data)
	}
	return reader.Understand(lane, data)
}

// reader is a pipeline that can do no more than understand.
var reader = pipeline.New(nil, nil, pipeline.Settings{Environment: schemas.Development}, time.Now)

func (s *script) Deliver(ctx context.Context, _ schemas.Class, _ pipeline.Understood, record *job.Record, journal pipeline.RecordStore, _ pipeline.Progress) error {
	if s.deliver != nil {
		return s.deliver(ctx, record, journal)
	}
	return s.send(ctx, record, journal)
}

// send posts, and writes down what came of it.
func (s *script) send(ctx context.Context, record *job.Record, journal pipeline.RecordStore) error {
	record.Phase = job.Sending
	if err := journal.Save(ctx, *record); err != nil {
		record.Phase = job.Working
		return err
	}
	var f *fault.Fault
	if err := s.cut.step(func() error {
		f = s.post(int(s.posts.Add(1)))
		if f == nil || f.Kind == fault.UnknownOutcome {
			s.taken.Add(1)
		}
		return nil
	}); err != nil {
		return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Destination, Code: "cut"}
	}
	if f != nil {
		if f.Kind != fault.UnknownOutcome {
			record.Phase = job.Working
		}
		return f
	}
	record.Phase, record.Reason = job.Accepted, nil
	record.Receipt = &schemas.Receipt{Status: 200, AcceptedAt: time.Now().UTC()}
	return journal.Save(ctx, *record)
}

// plenty is a budget that is off.
type plenty struct{}

func (plenty) Room() int                { return 1 << 30 }
func (plenty) Want(int)                 {}
func (plenty) Changed() <-chan struct{} { return nil }

// logBuffer is a log that tests read.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) tail() string {
	s := b.String()
	return s[max(0, len(s)-4000):]
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

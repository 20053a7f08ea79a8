package backfill_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

// answerTime is how long one answer of the server is waited for.
const answerTime = time.Minute

// world is a NATS server with streams, and a connection beside Chartpost's own.
type world struct {
	t     *testing.T
	conn  *natsq.Conn
	js    jetstream.JetStream
	runs  *natsq.Runs
	ports backfill.Ports
	log   *devtest.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOf(t, 10*time.Minute)
}

// forgetfulWorld is one whose server remembers message ids for the shortest time
// it can: what is right there does not rest on them.
func forgetfulWorld(t *testing.T) *world {
	t.Helper()
	w := worldOf(t, 100*time.Millisecond)
	w.ports.Queue = confirmed{w.ports.Queue, w.js}
	return w
}

func worldOf(t *testing.T, duplicates time.Duration) *world {
	t.Helper()
	server := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	w := &world{t: t, log: &devtest.Log{}}
	var err error
	config := natsq.Config{URL: server.URL(), Prefix: "chartpost", Name: t.Name(), Options: []nats.Option{nats.Timeout(answerTime)}}
	if w.conn, err = natsq.Connect(config, w.log.Logger()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	day := 24 * time.Hour
	patient, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.conn.Setup(patient, natsq.Layout{Replicas: 1, EventsAge: day, DeadAge: day, LedgerAge: day, Duplicates: duplicates}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(answerTime)); err != nil {
		t.Fatal(err)
	}
	if w.runs, err = w.conn.Runs(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ports = backfill.Ports{Bucket: w.runs, Queue: w.conn.RunJobs(), Ledger: w.conn.RunLedger(), Events: w.conn.RunEvents()}
	return w
}

// confirmed is a queue whose publishes wait for the server's word as long as it
// takes. The product's own publish again after 5 s under the same id, and a
// server that has forgotten it would take the job twice.
type confirmed struct {
	backfill.Queue
	js jetstream.JetStream
}

func (q confirmed) Publish(ctx context.Context, run string, jobs []backfill.Job, proceed func() error) error {
	var acks []jetstream.PubAckFuture
	for _, asked := range jobs {
		if err := proceed(); err != nil {
			return err
		}
		msg := nats.NewMsg(schemas.DueSubject("chartpost", schemas.Lane{Class: schemas.Backfill, Destination: asked.Destination}))
		msg.Header.Set(natsq.HeaderBackfill, fmt.Sprintf("%s/%d", run, asked.Line))
		msg.Data = asked.Data
		ack, err := q.js.PublishMsgAsync(msg)
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// lines is a manifest: the destination of each line's job.
type lines []string

// The manifests of these tests, and their template.
const header = "id,to,transfer,key,second,size,expires\n"

const template = `
id: "{{ .id }}"
operation: documentreference-create
destination: {slug: "{{ .to }}", environment: Development}
transfer: '{{ .transfer | default "auto" }}'
files: [{bucket: archive, key: "{{ .key }}"}, {bucket: archive, key: "{{ .second | omitparent }}"}]
message: {patient: {resourceType: Patient}, resource: {resourceType: DocumentReference}}
expires_at: "{{ .expires | omitempty }}"
`

func many(n int, to string) lines { return strings.Split(strings.Repeat(to+",", n-1)+to, ",") }

func (l lines) open(started time.Time) func(context.Context) (*backfill.Opened, error) {
	return func(context.Context) (*backfill.Opened, error) {
		var text strings.Builder
		text.WriteString(header)
		for i, to := range l {
			fmt.Fprintf(&text, "job-%d,%s,,key-%d,,,\n", i+2, to, i)
		}
		parsed, err := manifest.ParseTemplate([]byte(template))
		if err != nil {
			return nil, err
		}
		r, err := manifest.NewReader(strings.NewReader(text.String()), manifest.Options{})
		if err != nil {
			return nil, err
		}
		recipe, err := manifest.NewRecipe(parsed, r, manifest.Run{StartedAt: started, ExpiresAfter: 24 * time.Hour})
		return &backfill.Opened{Reader: r, Recipe: recipe, Closer: io.NopCloser(nil)}, err
	}
}

// feeder makes a feeder of a run, which it makes too if there is none.
func (w *world) feeder(id string, l lines) *backfill.Feeder {
	w.t.Helper()
	run, _, err := backfill.LoadRun(w.t.Context(), w.runs, id)
	fresh := err != nil
	if fresh {
		run = backfill.Run{ID: id, StartedAt: time.Now().UTC().Truncate(time.Second), State: backfill.Running}
	}
	open := l.open(run.StartedAt)
	opened, err := open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	survey := backfill.NewSurvey(id, nil)
	plan, err := planning.Make(w.t.Context(), opened.Reader, opened.Recipe, planning.Options{
		Goroutines: 2, Start: run.StartedAt, FileLimit: 1 << 30, Dir: w.t.TempDir(), Salt: []byte("salt"), Survey: survey,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if fresh {
		run.Manifest, run.Lines, run.Faulty, run.LastLine = plan.Manifest, plan.Lines, plan.Faulty, survey.LastLine()
		if err := backfill.CreateRun(w.t.Context(), w.runs, run); err != nil {
			w.t.Fatal(err)
		}
	}
	return &backfill.Feeder{
		Ports: w.ports, Limits: backfill.Limits{Outstanding: 1 << 30, PerLane: 1 << 30, Lease: time.Second},
		Run: run, Survey: survey, Name: w.t.Name(), Open: open, Say: func(text string) { w.t.Log(text) },
	}
}

// feeding is a feeder under way.
type feeding struct {
	t     *testing.T
	stop  context.CancelFunc
	book  *backfill.Book
	ended chan error
}

// start runs a feeder until the test ends; it returns once the feeder's book is
// up to date.
func (w *world) start(f *backfill.Feeder, wait bool) *feeding {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &feeding{t: w.t, stop: cancel, ended: make(chan error, 1)}
	ready := make(chan struct{})
	go func() { g.ended <- f.Feed(ctx, wait, func(b *backfill.Book) { g.book = b; close(ready) }) }()
	var once sync.Once
	w.t.Cleanup(func() { once.Do(cancel) })
	select {
	case <-ready:
	case err := <-g.ended:
		g.ended <- err
	case <-time.After(patience):
		w.t.Fatal("the feeder does not begin")
	}
	return g
}

func (g *feeding) end() error {
	g.t.Helper()
	select {
	case err := <-g.ended:
		return err
	case <-time.After(patience):
		g.t.Fatal("the feeder does not end")
		return nil
	}
}

// mustFeed feeds to the end.
func (w *world) mustFeed(f *backfill.Feeder, wait bool) *backfill.Book {
	w.t.Helper()
	g := w.start(f, wait)
	if err := g.end(); err != nil {
		w.t.Fatal(err)
	}
	return g.book
}

// until waits for a condition.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	devtest.Until(w.t, what, patience, holds)
}

// forgotten waits until the server remembers no message id of before.
func (w *world) forgotten() {
	w.t.Helper()
	probe := func() bool {
		ack, err := w.js.Publish(w.t.Context(), "chartpost.due.backfill.probe", nil, jetstream.WithMsgID("probe"))
		if err != nil {
			w.t.Fatal(err)
		}
		return !ack.Duplicate
	}
	probe()
	w.until("message ids are forgotten", probe)
}

// queued is how many jobs are in the lane of a destination. It waits for those that
// are on their way there.
func (w *world) queued(to string) int {
	w.t.Helper()
	w.until("no job is on its way", func() bool { return w.count("CHARTPOST_DUE", "chartpost.due.backfill."+to) == 0 })
	return w.count("CHARTPOST_JOBS", "chartpost.jobs.backfill."+to)
}

// count is how many messages of a subject a stream holds.
func (w *world) count(name, subject string) int {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, count := range info.State.Subjects {
		n += int(count)
	}
	return n
}

// ending is how the hand ends a job: with the ledger's phase and an event, or
// without the event where a worker died in between.
type ending struct {
	phase  job.Phase
	silent bool
}

var accepted = ending{phase: job.Accepted}

// hand takes jobs as a worker does, and counts them: by line.
type hand struct {
	w     *world
	taken map[string]int
}

// take ends up to n jobs of a destination.
func (h *hand) take(to string, n int, how func(i int) ending) {
	h.w.t.Helper()
	ctx := h.w.t.Context()
	lane := schemas.Lane{Class: schemas.Backfill, Destination: to}
	consumer, err := h.w.js.CreateOrUpdateConsumer(ctx, "CHARTPOST_JOBS", jetstream.ConsumerConfig{
		Durable: "hand-" + to, FilterSubject: schemas.JobSubject("chartpost", lane), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: time.Hour, // a slow hand is no dead one
	})
	if err != nil {
		h.w.t.Fatal(err)
	}
	// As many as there are, however long the server takes to bring them.
	if n = min(n, int(consumer.CachedInfo().NumPending)); n == 0 {
		return
	}
	batch, err := consumer.Fetch(n, jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		h.w.t.Fatal(err)
	}
	i := 0
	for msg := range batch.Messages() {
		h.taken[msg.Headers().Get(natsq.HeaderBackfill)]++
		h.finish(lane, msg, how(i))
		i++
	}
}

func (h *hand) finish(lane schemas.Lane, msg jetstream.Msg, how ending) {
	h.w.t.Helper()
	ctx := h.w.t.Context()
	asked, err := schemas.DecodeJob(msg.Data())
	if err != nil {
		h.w.t.Fatal(err)
	}
	sum := sha256.Sum256(msg.Data())
	record := job.Record{Phase: how.phase, Attempt: 1, Digest: hex.EncodeToString(sum[:]), UpdatedAt: time.Now()}
	event := schemas.EventData{
		JobID: asked.ID, Class: lane.Class, Destination: lane.Destination, Status: schemas.StatusAccepted, Attempt: 1, Correlation: asked.Correlation,
	}
	if how.phase == job.Failed {
		event.Status, event.Reason = schemas.StatusFailed, &schemas.Reason{Kind: "permanent", Code: "file_missing", Path: "/files/0"}
		record.Reason = event.Reason
	} else {
		event.Receipt = &schemas.Receipt{Status: 200, Location: "https://example.invalid/" + asked.ID, AcceptedAt: time.Now().UTC()}
		record.Receipt = event.Receipt
	}
	h.w.record(schemas.KeyOf(lane, asked.ID), record)
	if !how.silent {
		if err := h.w.conn.Outbox().Tell(ctx, lane, schemas.NewEvent("chartpost", event, time.Now())); err != nil {
			h.w.t.Fatal(err)
		}
	}
	if err := msg.DoubleAck(ctx); err != nil {
		h.w.t.Fatal(err)
	}
}

// record writes the ledger.
func (w *world) record(key schemas.JobKey, record job.Record) {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), "CHARTPOST_LEDGER")
	if err != nil {
		w.t.Fatal(err)
	}
	value, err := json.Marshal(record)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := kv.Put(w.t.Context(), key.Tokens(), value); err != nil {
		w.t.Fatal(err)
	}
}

// drain takes everything and ends it.
func (h *hand) drain(to string, how ending) {
	h.w.t.Helper()
	for h.w.queued(to) > 0 {
		h.take(to, 100, func(int) ending { return how })
	}
}

// once fails unless each line of a run was taken from the queue exactly once.
func (h *hand) once(run string, l lines) {
	h.w.t.Helper()
	if len(h.taken) != len(l) {
		h.w.t.Errorf("%d lines were submitted, want %d", len(h.taken), len(l))
	}
	for i := range l {
		if n := h.taken[fmt.Sprintf("%s/%d", run, i+2)]; n != 1 {
			h.w.t.Errorf("line %d was submitted %d times", i+2, n)
		}
	}
}

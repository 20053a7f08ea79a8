package joblist_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

func TestMain(m *testing.M) { devtest.Main(m) }

const (
	limit  = 2 * time.Minute
	prefix = "chartpost"
)

var layout = natsq.Layout{Replicas: 1, EventsAge: 30 * 24 * time.Hour, DeadAge: time.Hour, AuditAge: time.Hour, LedgerAge: time.Hour, Duplicates: 2 * time.Minute}

// world is a deployment without workers.
type world struct {
	*natsq.Conn
	js   jetstream.JetStream
	t    testing.TB
	seen map[schemas.JobKey]int
}

// segment is how many events a segment of these tests stands for.
const segment = 512

// Index is that of the queue, with small segments.
func (w *world) Index() *jobindex.Index { return w.Conn.Index().WithSegmentsOf(segment) }

func newWorld(t testing.TB) *world {
	t.Helper()
	server := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	return join(t, server.URL(), layout)
}

func join(t testing.TB, url string, l natsq.Layout) *world {
	t.Helper()
	conn, err := natsq.Connect(natsq.Config{URL: url, Prefix: prefix, Name: t.Name()}, (&devtest.Log{}).Logger())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	nc, err := nats.Connect(url)
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	must(t, err)
	devtest.Until(t, "it is set up", limit, func() bool { _, err = conn.Setup(t.Context(), l); return err == nil })
	return &world{Conn: conn, js: js, t: t, seen: map[schemas.JobKey]int{}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// event is the next event of a job.
func (w *world) event(id string, status schemas.Status, change ...func(*schemas.EventData)) schemas.EventData {
	d := schemas.EventData{JobID: id, Class: schemas.Live, Destination: "good-health", Operation: schemas.DocumentReferenceCreate, Status: status, Attempt: 1}
	switch status {
	case schemas.StatusRetrying:
		d.NextAttemptAt, d.Reason = time.Now().Add(time.Hour), &schemas.Reason{Kind: "retryable", Code: "redox_503"}
	case schemas.StatusFailed:
		d.Reason = &schemas.Reason{Kind: "permanent", Code: "file_missing"}
	case schemas.StatusUnknown:
		d.Reason = &schemas.Reason{Kind: "unknown_outcome", Code: "lost_answer"}
	case schemas.StatusAccepted:
		d.Receipt = &schemas.Receipt{Status: 200, AcceptedAt: time.Now()}
	case schemas.StatusDelivered:
		d.Evidence = &schemas.Evidence{LogID: "8e0b7e58-6d2b-4f0a-9c5e-0c1f3a9d7b11", Attempts: 1, At: time.Now()}
	}
	for _, one := range change {
		one(&d)
	}
	key := schemas.JobKey{Destination: d.Destination, ID: d.JobID}
	w.seen[key]++
	d.Attempt = w.seen[key]
	return d
}

// tell publishes an event and gives its sequence.
func (w *world) tell(id string, status schemas.Status, change ...func(*schemas.EventData)) uint64 {
	w.t.Helper()
	e := schemas.NewEvent(prefix, w.event(id, status, change...), time.Now())
	data, err := e.Encode()
	must(w.t, err)
	ack, err := w.js.Publish(w.t.Context(), schemas.EventSubject(prefix, e.Lane(), status), data)
	must(w.t, err)
	return ack.Sequence
}

func with(pairs ...string) func(*schemas.EventData) {
	return func(d *schemas.EventData) {
		d.Correlation = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			d.Correlation[pairs[i]] = pairs[i+1]
		}
	}
}

func to(destination string, class schemas.Class) func(*schemas.EventData) {
	return func(d *schemas.EventData) { d.Destination, d.Class = destination, class }
}

// fill publishes accepted events of n jobs that nobody looks for.
func (w *world) fill(name string, n int) {
	w.t.Helper()
	var last jetstream.PubAckFuture
	for i := range n {
		e := schemas.NewEvent(prefix, w.event(fmt.Sprintf("%s-%d", name, i), schemas.StatusAccepted, with("order", fmt.Sprintf("%s-%d", name, i))), time.Now())
		data, err := e.Encode()
		must(w.t, err)
		last, err = w.js.PublishAsync(schemas.EventSubject(prefix, e.Lane(), e.Data.Status), data, jetstream.WithStallWait(limit))
		must(w.t, err)
	}
	<-w.js.PublishAsyncComplete()
	if last != nil {
		select {
		case <-last.Ok():
		case err := <-last.Err():
			w.t.Fatal(err)
		}
	}
}

func always() bool { return true }

func (w *world) build() jobindex.Pass {
	w.t.Helper()
	p, err := w.Index().Build(w.t.Context(), always)
	must(w.t, err)
	return p
}

func (w *world) list(q joblist.Query) joblist.Page {
	w.t.Helper()
	p, err := w.tryList(w.t.Context(), w.Index(), q)
	must(w.t, err)
	return p
}

func (w *world) tryList(ctx context.Context, index *jobindex.Index, q joblist.Query) (joblist.Page, error) {
	bucket, err := w.Ledger(ctx)
	if err != nil {
		return joblist.Page{}, err
	}
	view, err := index.Open(ctx)
	if err != nil {
		return joblist.Page{}, err
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return joblist.Lister{View: view, Records: ledger.New(bucket, ledger.Patience)}.List(ctx, q)
}

// lists holds a list to "id state" of each job.
func (w *world) lists(what string, q joblist.Query, want ...string) joblist.Page {
	w.t.Helper()
	p := w.list(q)
	var got []string
	for _, j := range p.Jobs {
		got = append(got, j.JobID+" "+string(j.State))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
	return p
}

func order(value string) joblist.Query {
	return joblist.Query{Correlation: map[string]string{"order": value}}
}

func natsMsg(subject string, header nats.Header, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Header: header, Data: data}
}

package intake_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

func TestMain(m *testing.M) { devtest.Main(m) }

var (
	live = schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	all  = intake.Grant{Caller: "all", Destinations: []string{intake.All}, Classes: []schemas.Class{schemas.Live, schemas.Backfill}, Files: []string{intake.All}}
)

// world is a queue and a service before it.
type world struct {
	t     *testing.T
	queue *natsq.Conn
	// url is the server's own, also where the queue reaches it by a line.
	url     string
	ledger  *ledger.Ledger
	service *intake.Service
}

// newWorld connects through via, where that is given.
func newWorld(t *testing.T, via func(url string) string, queue func(intake.Queue) intake.Queue) *world {
	t.Helper()
	w := &world{t: t, url: devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()}
	admin := w.connect(w.url)
	_, err := admin.Setup(t.Context(), natsq.Layout{Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, AuditAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute})
	w.must(err)
	url := w.url
	if via != nil {
		url = via(url)
	}
	w.queue = w.connect(url)
	w.must(w.queue.Verify(t.Context()))
	bucket, err := w.queue.Ledger(t.Context())
	w.must(err)
	w.ledger = ledger.New(bucket, ledger.Patience)
	submissions := intake.Queue(w.queue.Submissions())
	if queue != nil {
		submissions = queue(submissions)
	}
	w.service = intake.New(intake.Parts{Rules: rules(), Claims: w.queue.Claims(), Queue: submissions, Ledger: records{w.ledger}, Now: time.Now})
	return w
}

func (w *world) connect(url string) *natsq.Conn {
	w.t.Helper()
	conn, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost", Name: w.t.Name()}, (&devtest.Log{}).Logger())
	w.must(err)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func rules() intake.Rules {
	return intake.Rules{
		Pipeline: pipeline.New(nil, nil, pipeline.Settings{Environment: schemas.Development, EmbedLimit: 200_000, FileLimit: 30_000_000}, time.Now),
		Composer: compose.Composer{}, Admit: func(schemas.File) error { return nil },
	}
}

// records is the ledger as the wiring shows it to the service.
type records struct{ ledger *ledger.Ledger }

func (r records) Find(ctx context.Context, job schemas.JobKey) (intake.Known, bool, error) {
	record, found, err := r.ledger.Find(ctx, job)
	return intake.Known{Digest: record.Digest, Phase: string(record.Phase), Final: record.Phase.Final()}, found, err
}

// requestedAt is the same for all jobs: a job that is built twice has the same bytes.
var requestedAt = time.Now().UTC().Truncate(time.Second)

func jobOf(id string, changes ...func(*schemas.Job)) []byte {
	j := schemas.Job{
		ID: id, Operation: "documentreference-create", Files: []schemas.File{{Bucket: "reports", Key: "a.pdf"}},
		Destination: schemas.Destination{Slug: "good-health", Environment: schemas.Development},
		Message:     json.RawMessage(`{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},"resource":{"resourceType":"DocumentReference","status":"current"}}`),
		RequestedAt: requestedAt,
	}
	for _, change := range changes {
		change(&j)
	}
	data, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return data
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// submit gives the result, or the code of the refusal.
func (w *world) submit(data []byte) string {
	w.t.Helper()
	r, err := w.service.Submit(w.t.Context(), intake.Submission{Grant: all, Lane: schemas.Lane{Class: schemas.Live}, Data: data})
	if refusal, ok := errors.AsType[*intake.Refusal](err); ok {
		return refusal.Code
	}
	w.must(err)
	return r.Result()
}

// queued is how many copies of jobs wait.
func (w *world) queued() uint64 {
	w.t.Helper()
	stream, err := w.jetStream().Stream(w.t.Context(), "CHARTPOST_JOBS")
	w.must(err)
	return stream.CachedInfo().State.Msgs
}

func (w *world) jetStream() jetstream.JetStream {
	w.t.Helper()
	js, err := jetstream.New(dial(w.t, w.url))
	w.must(err)
	return js
}

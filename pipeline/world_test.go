package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/redoxport"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/redoxclient"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestMain(m *testing.M) {
	os.Setenv("AWS_ACCESS_KEY_ID", s3dev.DefaultAccessKey)
	os.Setenv("AWS_SECRET_ACCESS_KEY", s3dev.DefaultSecretKey)
	devtest.Main(m)
}

const (
	testBucket = "reports"
	jobID      = "job-1"
	simSource  = "0f8fad5b-d9cb-469f-a165-70867728950e"
)

var jobKey = schemas.JobKey{Destination: "good-health", ID: jobID}

// world is the servers around one pipeline: an S3 server in a process of its
// own, the simulator behind a door that tests can watch, a ledger on NATS.
type world struct {
	t      *testing.T
	sim    *redoxsim.Server
	source *s3source.Source
	bucket jetstream.KeyValue
	js     jetstream.JetStream
	ledger *ledger.Ledger
	gate   *redoxport.Gate
	line   *pipeline.Pipeline

	mu sync.Mutex
	// atDoor is called for every request but those for tokens, before the
	// simulator sees it, with "upload" or "message".
	atDoor func(what string)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t}
	w.startLedger()
	var err error
	if w.source, err = s3source.New(t.Context(), s3source.Config{Endpoint: storeURL(t), PathStyle: true}); err != nil {
		t.Fatal(err)
	}
	w.gate = redoxport.New(w.startRedox(), nil)
	w.line = w.through(w.gate)
	return w
}

// through is a pipeline that speaks to Redox by way of r.
func (w *world) through(r pipeline.Redox) *pipeline.Pipeline { return between(w.source, r) }

func between(source pipeline.Source, r pipeline.Redox) *pipeline.Pipeline {
	return at(time.Now, source, r)
}

// at has a clock of its own.
func at(now func() time.Time, source pipeline.Source, r pipeline.Redox) *pipeline.Pipeline {
	return pipeline.New(source, r, pipeline.Settings{
		Environment: schemas.Development, EmbedLimit: 1000, FileLimit: 1_000_000,
		Retry: pipeline.RetryPolicy{Tries: 3, First: time.Millisecond, Longest: 10 * time.Millisecond},
	}, now)
}

func (w *world) startLedger() {
	w.t.Helper()
	nc, err := nats.Connect("", devtest.NATS(w.t, devstack.NATSOptions{LazySync: true}).InProcess(), nats.Timeout(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	if w.bucket, err = w.js.CreateKeyValue(w.t.Context(), jetstream.KeyValueConfig{Bucket: "LEDGER"}); err != nil {
		w.t.Fatal(err)
	}
	w.ledger = ledger.New(w.bucket, ledger.Patience)
}

func (w *world) startRedox() *redoxclient.Client {
	w.t.Helper()
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384, simSource)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.sim, err = redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{credentials.Client}}); err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(w.door))
	w.t.Cleanup(func() { w.sim.Close(); server.Close() })
	key := filepath.Join(w.t.TempDir(), "key.pem")
	if err := os.WriteFile(key, credentials.PEM, 0o600); err != nil {
		w.t.Fatal(err)
	}
	tokens, err := redoxclient.NewTokenSource(redoxclient.TokenConfig{
		ClientID: credentials.ClientID, KeyFile: key, KeyID: credentials.KeyID, TokenURL: server.URL + "/v2/auth/token",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := redoxclient.New(redoxclient.Config{
		APIURL: server.URL, Environment: "Development", BlobHosts: []string{"blob.simulator.invalid"}, Tokens: tokens,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

func (w *world) door(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	watch := w.atDoor
	w.mu.Unlock()
	switch {
	case watch == nil || strings.Contains(r.URL.Path, "/auth/"):
	case strings.HasSuffix(r.URL.Path, "/Binary"):
		watch("upload")
	default:
		watch("message")
	}
	w.sim.ServeHTTP(rw, r)
}

func (w *world) watch(f func(what string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atDoor = f
}

// storeURL is the S3 server of this test binary.
var storeURL = func() func(*testing.T) string {
	var once sync.Once
	var url string
	var err error
	return func(t *testing.T) string {
		once.Do(func() {
			var dir string
			if dir, err = os.MkdirTemp("", "chartpost-s3-"); err != nil {
				return
			}
			options := s3dev.Options{Dir: dir}
			var p *devstack.ServerProcess
			if p, err = s3dev.StartProcess(context.Background(), options); err != nil {
				return
			}
			url = p.URL()
			err = s3dev.Bucket(context.Background(), s3dev.Client(url, options), testBucket, false)
		})
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
}()

// put stores a file and gives how a job names it.
func (w *world) put(key string, data []byte) schemas.File {
	w.t.Helper()
	key = w.t.Name() + "/" + key
	if _, err := w.source.Put(w.t.Context(), s3source.Upload{
		Bucket: testBucket, Key: key, ContentType: "text/plain", Body: bytes.NewReader(data), Size: int64(len(data)),
	}); err != nil {
		w.t.Fatal(err)
	}
	return schemas.File{Bucket: testBucket, Key: key}
}

func jobOf(transfer schemas.Transfer, files ...schemas.File) schemas.Job {
	return schemas.Job{
		ID: jobID, Operation: schemas.DocumentReferenceCreate, Files: files, Transfer: transfer,
		Destination: schemas.Destination{Slug: "good-health", Environment: schemas.Development},
		Message: json.RawMessage(`{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],` +
			`"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},"resource":{"resourceType":"DocumentReference","status":"current"}}`),
		RequestedAt: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
	}
}

// uploads counts how often the pipeline said that all files are at Redox.
type uploads struct {
	told []job.Record
	// left counts the messages that were handed over whole, waiting and resumed the
	// waits for others.
	left, waiting, resumed, admitted, queued int
	stages                                   []pipeline.Stage
	// once: nothing is repeated.
	once bool
}

func (u *uploads) Uploaded(r *job.Record)  { u.told = append(u.told, *r) }
func (u *uploads) Left()                   { u.left++ }
func (u *uploads) Waiting()                { u.waiting++ }
func (u *uploads) Moved(int)               {}
func (u *uploads) Resumed()                { u.resumed++ }
func (u *uploads) Repeats() bool           { return !u.once }
func (u *uploads) Queued()                 { u.queued++ }
func (u *uploads) Admitted()               { u.admitted++ }
func (u *uploads) Passed(s pipeline.Stage) { u.stages = append(u.stages, s) }

// kept is a page of a job whose lease lives until lost is set.
type kept struct {
	worker.Entry
	lost *atomic.Bool
}

func (k kept) CheckLease() error {
	if k.lost != nil && k.lost.Load() {
		return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "lease_lost"}
	}
	return nil
}

// deliver runs a job once, as a worker does that finds in the ledger what is
// there. It gives the record as it is in memory afterwards.
func (w *world) deliver(ctx context.Context, asked schemas.Job) (job.Record, *uploads, error) {
	w.t.Helper()
	page, _, err := w.ledger.Open(w.t.Context(), asked.Key(), job.Record{Phase: job.Working, Attempt: 1, Sequence: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	record := page.Record()
	record.Phase = job.Working // a worker claims the job first
	return w.deliverOn(ctx, asked, record, kept{Entry: page})
}

func (w *world) deliverOn(ctx context.Context, asked schemas.Job, record job.Record, store pipeline.RecordStore) (job.Record, *uploads, error) {
	told := &uploads{}
	err := w.line.Deliver(ctx, schemas.Live, pipeline.Understood{Job: asked}, &record, store, told)
	return record, told, err
}

// keep saves what a failed try learned, as the worker does before it lets go.
func (w *world) keep(record job.Record) {
	w.t.Helper()
	page, _, err := w.ledger.Open(w.t.Context(), jobKey, record)
	if err == nil {
		err = page.Save(w.t.Context(), record)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// found is what the ledger says at this moment, and at which revision.
func (w *world) found() (record job.Record, revision uint64) {
	entry, err := w.bucket.Get(context.Background(), jobKey.Tokens())
	if err != nil {
		w.t.Errorf("reading the ledger: %v", err)
		return record, 0
	}
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		w.t.Errorf("reading the ledger: %v", err)
	}
	return record, entry.Revision()
}

func (w *world) inject(kind redoxsim.Kind, faults ...redoxsim.Fault) {
	w.t.Helper()
	for _, f := range faults {
		f.Match.Kind = kind
		if err := w.sim.Inject(f); err != nil {
			w.t.Fatal(err)
		}
	}
}

// took checks how many uploads and messages the simulator has kept.
func (w *world) took(uploads, messages int) {
	w.t.Helper()
	if n := len(w.sim.Uploads()); n != uploads {
		w.t.Errorf("Redox keeps %d files, want %d", n, uploads)
	}
	if n := len(w.sim.Messages()); n != messages {
		w.t.Errorf("Redox took %d messages, want %d", n, messages)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, code, path string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Kind != kind || code != "" && f.Code != code || path != "" && f.Path != path {
		t.Fatalf("%v (%+v), want %s %s %s", err, f, kind, code, path)
	}
}

func urls(r job.Record) (n int) {
	for _, f := range r.Files {
		if f.URL != "" {
			n++
		}
	}
	return n
}

// document is a plain text of size bytes.
func document(size int, salt string) []byte {
	return bytes.Repeat([]byte(salt), size/len(salt)+1)[:size]
}

func sha(data []byte) string { s := sha256.Sum256(data); return hex.EncodeToString(s[:]) }

package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

func TestMain(m *testing.M) {
	// The AWS SDK's own chain is how a worker gets its credentials.
	os.Setenv("AWS_ACCESS_KEY_ID", s3dev.DefaultAccessKey)
	os.Setenv("AWS_SECRET_ACCESS_KEY", s3dev.DefaultSecretKey)
	if err := devtest.Parallel(6); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	devtest.Main(m, followerRole())
}

// patienceOfTests bounds every wait: far more than a slow machine needs.
const patienceOfTests = 2 * time.Minute

// world is the servers of one test and a worker's settings that reach them: a
// NATS server, an S3 server in a process of its own, the simulator of Redox.
type world struct {
	t testing.TB
	// began is when every job of this world was asked for: a job that is built twice has
	// the same bytes.
	began    time.Time
	sim      *redoxsim.Server
	api      *platform.API
	queue    *natsq.Conn
	js       jetstream.JetStream
	source   *s3source.Source
	settings Settings
	// following are the settings of a follower of outcomes, except for what it shares
	// with the worker.
	following FollowSettings
	log       *devtest.Log
	events    *eventLog
	// jobsStand says that jobs of this world wait for an answer all the time.
	jobsStand bool
}

const testBucket = "reports"

// newWorld starts everything but the worker; natsURL may name a server that
// the test runs itself.
func newWorld(t testing.TB, natsURL string) *world {
	t.Helper()
	w := &world{t: t, log: &devtest.Log{}, began: time.Now().UTC().Truncate(time.Second)}
	if natsURL == "" {
		natsURL = devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()
	}
	w.startRedox()
	w.settings.NATS = NATS{URL: natsURL, Prefix: "chartpost"}
	w.settings.Budget = Budget{Window: time.Minute, Scope: "test"}
	w.settings.Telemetry.Destinations = 200
	w.settings.S3 = S3{Endpoint: storeURL(t), PathStyle: true}
	w.settings.Delivery = Delivery{
		Concurrency: 8, LaneConcurrency: 8, EmbedLimit: 200_000, FileLimit: 30_000_000, OnUnknown: "resend",
		RetryFirst: time.Second, RetryLongest: 2 * time.Second, Lease: 30 * time.Second, Grace: 10 * time.Second, Stall: 30 * time.Second,
	}

	var err error
	if w.queue, err = Queue(w.settings.NATS, "test", w.log.Logger()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.queue.Close() })
	w.setup()
	if w.source, err = Source(t.Context(), w.settings.S3, w.settings.Delivery); err != nil {
		t.Fatal(err)
	}
	w.follow()
	return w
}

func (w *world) setup() {
	w.t.Helper()
	patient, cancel := context.WithTimeout(w.t.Context(), patienceOfTests)
	defer cancel()
	if _, err := w.queue.Setup(patient, natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: 10 * time.Minute,
	}); err != nil {
		w.t.Fatal(err)
	}
}

// storeURL is the S3 server of this test binary: a process of its own that ends
// with it, since a store can serve every test.
var storeURL = func() func(testing.TB) string {
	var once sync.Once
	var url string
	var err error
	return func(t testing.TB) string {
		once.Do(func() {
			var dir string
			if dir, err = os.MkdirTemp("", "chartpost-s3-"); err != nil {
				return
			}
			options := s3dev.Options{Dir: dir, Users: []s3dev.User{{AccessKey: "stranger", SecretKey: "stranger-secret"}}}
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

func (w *world) startRedox() {
	w.t.Helper()
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		w.t.Fatal(err)
	}
	user, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		w.t.Fatal(err)
	}
	user.Client.User, user.Client.Sources = true, nil
	w.api = platform.New(platform.Config{Organization: 4711, Note: canary, Repeat: true, Order: platform.Shuffled})
	if w.sim, err = redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{credentials.Client, user.Client}, Platform: w.api}); err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(w.sim)
	w.t.Cleanup(func() { w.sim.Close(); server.Close() })
	keyFile := filepath.Join(w.t.TempDir(), "key.pem")
	if err := os.WriteFile(keyFile, credentials.PEM, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.settings.Redox = Redox{
		Environment: "Development", APIURL: server.URL, TokenURL: server.URL + "/v2/auth/token", BlobURL: server.URL,
		BlobHosts: []string{"blob.simulator.invalid"}, ClientID: credentials.ClientID, KeyFile: keyFile, KeyID: credentials.KeyID,
		SourceID: credentials.Client.Sources[0],
	}
	userFile := filepath.Join(w.t.TempDir(), "user.pem")
	if err := os.WriteFile(userFile, user.PEM, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.following.Outcome = Outcome{Organization: "4711", ClientID: user.ClientID, KeyFile: userFile, KeyID: user.KeyID, Share: 0.5}
}

// worker runs a worker until the test ends, or until stop is called, which
// waits for its end.
func (w *world) worker() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	settings := w.settings
	go func() { ended <- RunWorker(ctx, settings, w.log.Logger(), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		w.t.Fatalf("the worker did not start: %v", err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("the worker: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// put stores a file and gives how a job names it.
func (w *world) put(key string, data []byte) schemas.File {
	w.t.Helper()
	key = w.t.Name() + "/" + key
	_, err := w.source.Put(w.t.Context(), s3source.Upload{
		Bucket: testBucket, Key: key, ContentType: "binary/octet-stream", Body: bytes.NewReader(data), Size: int64(len(data)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return schemas.File{Bucket: testBucket, Key: key}
}

const (
	patientJSON  = `{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"}`
	documentJSON = `{"resourceType":"DocumentReference","status":"current"}`
)

// job is a job for files, changed by the changes.
func (w *world) job(id string, files []schemas.File, changes ...func(*schemas.Job)) schemas.Job {
	job := schemas.Job{
		ID: id, Operation: "documentreference-create", Files: files,
		Destination: schemas.Destination{Slug: "good-health", Environment: schemas.Development},
		Message:     json.RawMessage(`{"patient":` + patientJSON + `,"resource":` + documentJSON + `}`),
		RequestedAt: w.began,
	}
	for _, change := range changes {
		change(&job)
	}
	return job
}

func transfer(t schemas.Transfer) func(*schemas.Job) { return func(j *schemas.Job) { j.Transfer = t } }
func to(slug string) func(*schemas.Job)              { return func(j *schemas.Job) { j.Destination.Slug = slug } }

// publish sends jobs as any client would, each to its own lane.
func (w *world) publish(jobs ...schemas.Job) {
	w.t.Helper()
	for _, job := range jobs {
		data, err := json.Marshal(job)
		if err != nil {
			w.t.Fatal(err)
		}
		w.publishRaw(schemas.JobSubject("chartpost", schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}), data)
	}
}

func (w *world) publishRaw(subject string, data []byte) {
	w.t.Helper()
	if _, err := w.js.Publish(w.t.Context(), subject, data); err != nil {
		w.t.Fatal(err)
	}
}

// follow collects every event from here on.
func (w *world) follow() {
	w.t.Helper()
	nc, err := nats.Connect(w.settings.NATS.URL, nats.Timeout(patienceOfTests), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(patienceOfTests)); err != nil {
		w.t.Fatal(err)
	}
	w.events = &eventLog{byJob: map[string][]schemas.Event{}, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended, started := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := w.queue.Watch(ctx, nil, time.Now().Add(-time.Minute), func() error { close(started); return nil }, w.events.add)
		if err != nil {
			w.t.Errorf("following the events: %v", err)
		}
	}()
	w.t.Cleanup(func() { cancel(); <-ended })
	<-started
}

// final waits for a job's final event.
func (w *world) final(id string) schemas.Event {
	w.t.Helper()
	return w.await(id, func(e schemas.Event) bool { return e.Data.Status.Final() })
}

// await waits for an event of the job that fits.
func (w *world) await(id string, fits func(schemas.Event) bool) schemas.Event {
	w.t.Helper()
	timeout := time.NewTimer(patienceOfTests)
	defer timeout.Stop()
	for {
		events, changed := w.events.of(id)
		if i := slices.IndexFunc(events, fits); i >= 0 {
			return events[i]
		}
		select {
		case <-changed:
		case <-timeout.C:
			w.t.Fatalf("no such event of job %s; its events: %s\nend of the log:\n%s", id, describe(events), w.log.Tail())
		}
	}
}

// statuses are the job's events in order, for comparison.
func (w *world) statuses(id string) string {
	events, _ := w.events.of(id)
	return describe(events)
}

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

// dead reads every dead letter.
func (w *world) dead() []*nats.Msg {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), "CHARTPOST_DEAD")
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := stream.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var letters []*nats.Msg
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		raw, err := stream.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		letters = append(letters, &nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data})
	}
	return letters
}

// drained waits until the queue holds no job and no schedule.
func (w *world) drained() {
	w.t.Helper()
	empty := func(name string) bool {
		stream, err := w.js.Stream(w.t.Context(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		return stream.CachedInfo().State.Msgs == 0
	}
	devtest.Until(w.t, "the queue is empty", patienceOfTests, func() bool {
		// A job moves from one stream to the other, both ways.
		return empty("CHARTPOST_DUE") && empty("CHARTPOST_JOBS") && empty("CHARTPOST_DUE")
	})
}

// eventLog is every event seen, in order.
type eventLog struct {
	mu      sync.Mutex
	all     []schemas.Event
	byJob   map[string][]schemas.Event
	changed chan struct{}
}

func (l *eventLog) add(e schemas.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
	l.byJob[e.Data.JobID] = append(l.byJob[e.Data.JobID], e)
	close(l.changed)
	l.changed = make(chan struct{})
	return true
}

func (l *eventLog) of(id string) ([]schemas.Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.byJob[id]), l.changed
}

// document is a file of size bytes, another for each salt: a PDF as far as anyone
// looks, or a text where there is no room for one. It repeats itself after so odd
// a number of bytes that no part fits in another's place.
func document(size int, salt string) []byte {
	const start, end = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "\nstartxref\n9\n%%EOF\n"
	const period = 65521
	data := make([]byte, 0, size+2*sha256.Size)
	if size > len(start)+len(end) {
		data = append(data, start...)
	}
	block := sha256.Sum256([]byte(salt))
	for len(data) < min(size, period+len(start)) {
		data = hex.AppendEncode(data, block[:])
		block = sha256.Sum256(block[:])
	}
	for len(data) < size {
		data = append(data, data[len(data)-period:]...)
	}
	if data = data[:size]; size > len(start)+len(end) {
		copy(data[size-len(end):], end)
	}
	return data
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

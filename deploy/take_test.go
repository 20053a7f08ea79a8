package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// takes runs an intake with its role's rights until the test ends, and gives its URL.
func (s *site) takes() (url string, log *devtest.Log) {
	s.t.Helper()
	settings := app.IntakeSettings{
		NATS: s.natsAs(taker), S3: app.S3{Endpoint: s.store, PathStyle: true, Buckets: []string{testBucket}},
		Job:    app.IntakeJobs{Environment: s.redox.Environment, SourceID: s.redox.SourceID, EmbedLimit: 200_000, FileLimit: 30_000_000},
		Doors:  app.IntakeDoors{Addr: "127.0.0.1:0", NATS: "on", NATSFiles: []string{"*"}, Grace: 5 * time.Second},
		Limits: app.IntakeLimits{Requests: 64, Streams: 8, Lane: 1000, All: 64, AllStreams: 8, Connections: 100},
	}
	log = &devtest.Log{}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- app.RunIntake(ctx, settings, log.Logger(), func(addr string) { ready <- addr }) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the intake: %v", err)
		}
		if s.t.Failed() {
			s.t.Logf("the intake's log:\n%s", log.Tail())
		}
	})
	select {
	case addr := <-ready:
		return "http://" + addr, log
	case err := <-ended:
		ended <- nil
		s.t.Fatalf("the intake did not start: %v\n%s", err, log.Tail())
	case <-time.After(patience):
		s.t.Fatalf("the intake does not start\n%s\n%s", log.Tail(), strings.Join(s.nats.violations(), "\n"))
	}
	return "", log
}

// sampleJob is a job for the sample report.
func (s *site) sampleJob(id, destination string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","destination":{"slug":%q,"environment":"Development"},
"files":[{"bucket":%q,"key":"outbox/sample/lab-report.pdf"}],"message":{"patient":%s,"resource":{"resourceType":"DocumentReference","status":"current"}},
"requested_at":%q}`, id, destination, testBucket, samples.Patient(), time.Now().UTC().Format(time.RFC3339))
}

// take lets callers submit through an intake, over NATS and HTTP.
func (s *site) take(seen *seen) {
	s.t.Helper()
	s.send("sample", "good-health") // its file is there for the jobs that follow
	s.await(seen, "sample", schemas.StatusAccepted)
	url, _ := s.takes()
	asker := s.connect(caller)
	ask := func(subject string, data []byte, want string) {
		s.t.Helper()
		msg, err := asker.Request(s.prefix+".submit."+subject, data, patience)
		if err != nil || !strings.Contains(string(msg.Data), want) {
			s.t.Errorf("%s: %v, %v, want %s", subject, msg, err, want)
		}
	}
	over := s.sampleJob("over-nats", "good-health")
	ask("live.good-health", over, `"result":"stored"`)
	ask("live.good-health", over, `"result":"known"`)
	ask("backfill.good-health", s.sampleJob("over-nats-2", "good-health"), `"result":"stored"`)
	s.await(seen, "over-nats", schemas.StatusAccepted)
	s.await(seen, "over-nats-2", schemas.StatusAccepted)
	ask("status.good-health", []byte("over-nats"), `"state":"accepted"`)
	// A claim alone: nothing is known of the job but that somebody submits it.
	_, err := s.connect(taker).Request("$KV."+strings.ToUpper(s.prefix)+"_INTAKE.good-health.claimed", []byte("{}"), patience)
	must(s.t, err)
	ask("status.good-health", []byte("claimed"), "job_unknown")
	for path, want := range map[string]string{"/v1/jobs/over-nats?destination=good-health": `"state":"accepted"`, "/v1/jobs/over-nats": `"state":"accepted"`} {
		resp, err := http.Get(url + path)
		must(s.t, err)
		data, err := io.ReadAll(resp.Body)
		must(s.t, err)
		resp.Body.Close()
		if !strings.Contains(string(data), want) {
			s.t.Errorf("%s: %s", path, data)
		}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), "GET", url+"/v1/events", nil)
	must(s.t, err)
	r.Header.Set("Last-Event-ID", "1")
	resp, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer resp.Body.Close()
	text := ""
	for !strings.Contains(text, "over-nats") {
		part := make([]byte, 4096)
		n, err := resp.Body.Read(part)
		must(s.t, err)
		text += string(part[:n])
	}
}

// TestACallerAimsNoAnswer: what a caller names as its reply subject stays in its own
// account: the answers of the intake reach no stream and no other caller.
func TestACallerAimsNoAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, "chartpost", "nats")
	s.as(operator, 0, "setup")
	url, log := s.takes()
	nc := s.connect(caller, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	before := s.stored()
	job := s.sampleJob("aimed", "good-health")
	for _, reply := range []string{
		"chartpost.jobs.live.good-health", "chartpost.due.live.good-health", "chartpost.events.live.good-health.accepted", "chartpost.dead.live.good-health",
		"$JS.API.STREAM.PURGE.CHARTPOST_JOBS", "$KV.CHARTPOST_LEDGER.good-health.one", "$KV.CHARTPOST_INTAKE.good-health.one", "_R_.one", "_INBOX.>", ">",
		"chartpost.submit.live.good-health",
	} {
		must(t, nc.PublishRequest("chartpost.submit.live.good-health", reply, []byte("{}")))
		must(t, nc.PublishRequest("chartpost.submit.status.good-health", reply, []byte("aimed")))
	}
	must(t, nc.Flush())
	devtest.Until(t, "all of that is answered", patience, func() bool { return strings.Count(log.String(), `"route":"nats submit"`) >= 10 })
	// Whoever the answers were aimed at, others are served.
	r, err := http.NewRequestWithContext(t.Context(), "PUT", url+"/v1/jobs/aimed", bytes.NewReader(job))
	must(t, err)
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%d", resp.StatusCode)
	}
	if after := s.stored(); after != before+1 {
		t.Errorf("%d messages were stored, want the job alone", after-before)
	}
}

// stored is how many messages were ever stored in the streams that a reply could reach,
// without the claims.
func (s *site) stored() (all uint64) {
	s.t.Helper()
	for _, name := range []string{"CHARTPOST_JOBS", "CHARTPOST_DUE", "CHARTPOST_EVENTS", "CHARTPOST_DEAD", "KV_CHARTPOST_LEDGER"} {
		stream, err := s.stream(operator).Stream(s.t.Context(), name)
		must(s.t, err)
		all += stream.CachedInfo().State.LastSeq
	}
	return all
}

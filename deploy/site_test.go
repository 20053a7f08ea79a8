package deploy

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/internal/samples"
)

// site is a deployment: a nats-server with the files of nats/, an S3 server
// with the
// policies of s3/, the simulator of Redox, and who works there.
type site struct {
	t      *testing.T
	prefix string
	ids    identities
	nats   *natsServer
	sim    *redoxsim.Server
	redox  app.Redox
	// logs are who may read Redox's logs.
	logs  app.Outcome
	store string
	// settings is the folder of what the server runs, dir that of the samples.
	settings, dir string
}

const testBucket = "reports"

func newSite(t *testing.T, prefix, settings string) *site {
	t.Helper()
	return newSiteOf(t, prefix, settings, newIdentities(t))
}

// newSiteOf is a site of these identities.
func newSiteOf(t *testing.T, prefix, settings string, ids identities) *site {
	t.Helper()
	s := &site{t: t, prefix: prefix, ids: ids, settings: settings, dir: t.TempDir()}
	s.nats = startNATS(t, filepath.Join(settings, "nats.conf"), s.ids.environment())
	return s.equip()
}

// equip gives a site all that it has beside NATS.
func (s *site) equip() *site {
	s.t.Helper()
	t := s.t
	s.startRedox()
	s.store, _ = policyStore(t)
	for _, doc := range samples.Documents() {
		must(t, os.WriteFile(filepath.Join(s.dir, doc.Name), doc.Bytes, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "patient.json"), samples.Patient(), 0o600))
	return s
}

func (s *site) startRedox() {
	s.t.Helper()
	credentials, err := redoxsim.GenerateClient(redoxsim.ES384)
	must(s.t, err)
	user, err := redoxsim.GenerateClient(redoxsim.ES384)
	must(s.t, err)
	user.Client.User, user.Client.Sources = true, nil
	api := platform.New(platform.Config{})
	s.sim, err = redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{credentials.Client, user.Client}, Platform: api})
	must(s.t, err)
	server := httptest.NewServer(s.sim)
	s.t.Cleanup(func() { s.sim.Close(); server.Close() })
	key := filepath.Join(s.dir, "key.pem")
	must(s.t, os.WriteFile(key, credentials.PEM, 0o600))
	s.redox = app.Redox{
		Environment: "Development", APIURL: server.URL, TokenURL: server.URL + "/v2/auth/token", BlobURL: server.URL,
		BlobHosts: []string{"blob.simulator.invalid"}, ClientID: credentials.ClientID, KeyFile: key, KeyID: credentials.KeyID,
		SourceID: credentials.Client.Sources[0],
	}
	userKey := filepath.Join(s.dir, "user.pem")
	must(s.t, os.WriteFile(userKey, user.PEM, 0o600))
	s.logs = app.Outcome{Organization: "1", ClientID: user.ClientID, KeyFile: userKey, KeyID: user.KeyID, Share: 0.5}
}

// as runs chartpost with the rights of a role and gives what it printed; it must
// end with the exit code.
func (s *site) as(role string, code int, arguments ...string) string {
	s.t.Helper()
	out, errs, got := s.run(role, arguments...)
	if got != code {
		s.t.Fatalf("%s: chartpost %s: exit code %d, want %d\n%s%s", role, strings.Join(arguments, " "), got, code, out, errs)
	}
	return out
}

func (s *site) run(role string, arguments ...string) (out, errs string, code int) {
	s.t.Helper()
	program, err := command()
	must(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(),
		"CHARTPOST_NATS_URL="+s.nats.url, "CHARTPOST_NATS_NKEY="+s.ids[role].seedFile, "CHARTPOST_PREFIX="+s.prefix,
		"CHARTPOST_S3_ENDPOINT="+s.store, "CHARTPOST_S3_PATH_STYLE=true", "CHARTPOST_S3_BUCKETS="+testBucket,
		"AWS_ACCESS_KEY_ID="+role, "AWS_SECRET_ACCESS_KEY="+role+"-secret", "AWS_EC2_METADATA_DISABLED=true",
		"CHARTPOST_REDOX_ENVIRONMENT=Development", "CHARTPOST_REDOX_API_URL="+s.redox.APIURL, "CHARTPOST_REDOX_TOKEN_URL="+s.redox.TokenURL,
		"CHARTPOST_REDOX_BLOB_URL="+s.redox.BlobURL, "CHARTPOST_REDOX_BLOB_HOSTS=blob.simulator.invalid",
		"CHARTPOST_REDOX_CLIENT_ID="+s.redox.ClientID, "CHARTPOST_REDOX_KEY_ID="+s.redox.KeyID, "CHARTPOST_REDOX_KEY_FILE="+s.redox.KeyFile,
	)
	var said, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &faults
	code = exitCode(cmd.Run())
	return said.String(), faults.String(), code
}

// send submits a job for the sample report, as a submitter does.
func (s *site) send(id, destination string, more ...string) {
	s.t.Helper()
	s.as(submitter, 0, append([]string{"send", "--wait", "0", "--id", id, "--to", destination,
		"--patient", "patient.json", "--upload", "lab-report.pdf", "--bucket", testBucket}, more...)...)
}

// natsAs are the settings that reach the server as a role.
func (s *site) natsAs(role string) app.NATS {
	return app.NATS{URL: s.nats.url, Nkey: s.ids[role].seedFile, Prefix: s.prefix}
}

// work runs a worker until stop is called, and gives its log.
func (s *site) work() (log *devtest.Log, stop func()) {
	s.t.Helper()
	settings := app.Settings{
		NATS: s.natsAs(worker), Redox: s.redox, S3: app.S3{Endpoint: s.store, PathStyle: true, Buckets: []string{testBucket}},
		Budget: app.Budget{Requests: 100_000, Window: 10 * time.Second, Scope: "test"},
		Delivery: app.Delivery{
			Concurrency: 8, LaneConcurrency: 8, EmbedLimit: 200_000, FileLimit: 30_000_000, OnUnknown: "hold",
			RetryFirst: time.Second, RetryLongest: 2 * time.Second, Lease: 30 * time.Second, Grace: 10 * time.Second, Stall: 30 * time.Second,
			AnswerTimeout: time.Minute,
		},
	}
	log = &devtest.Log{}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- app.RunWorker(ctx, settings, log.Logger(), func() { close(ready) }) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the worker: %v", err)
		}
		ended <- nil
	}
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		s.t.Fatalf("the worker did not start: %v\n%s\n%s", err, log.Tail(), strings.Join(s.nats.violations(), "\n"))
	case <-time.After(patience):
		cancel()
		s.t.Fatalf("the worker does not start\n%s\n%s", log.Tail(), strings.Join(s.nats.violations(), "\n"))
	}
	s.t.Cleanup(stop)
	return log, stop
}

// report is a line for a failing test.
func (s *site) report(log *devtest.Log) string {
	return fmt.Sprintf("refused: %s\nend of the worker's log:\n%s", strings.Join(s.nats.violations(), "\n"), log.Tail())
}

// queued is what the queue holds, for a failing test.
func (s *site) queued() string {
	js := s.stream(operator)
	stream, err := js.Stream(context.Background(), "CHARTPOST_JOBS")
	if err != nil {
		return err.Error()
	}
	info, err := stream.Info(context.Background(), jetstream.WithSubjectFilter("chartpost.jobs.>"))
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("the queue holds %v", info.State.Subjects)
	lister := stream.ListConsumers(context.Background())
	for one := range lister.Info() {
		text += fmt.Sprintf("\n%s: %d wait, %d in hand, %d asks, delivered %+v, settled %+v", one.Name, one.NumPending, one.NumAckPending, one.NumWaiting, one.Delivered, one.AckFloor)
	}
	return text
}

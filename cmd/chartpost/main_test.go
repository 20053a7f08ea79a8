package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/redoxsim/platform"
	"github.com/chartpost/chartpost/internal/samples"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// program is chartpost as users have it. The race detector is not in it: it
// makes a command of this size ten times as slow to begin, and these tests run
// hundreds. Tests that call run have it.
func program(t testing.TB) string {
	t.Helper()
	return devtest.Program(t, "cmd/chartpost")
}

// TestScripts runs the commands as a user does, against real servers that all
// scripts share. Each script has streams of its own, under its own prefix.
func TestScripts(t *testing.T) {
	t.Parallel()
	vars, programs := world(t), filepath.Dir(program(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Values[scriptTest{}] = e.T()
			e.Vars = append(e.Vars, vars...)
			e.Vars = append(e.Vars, "PATH="+programs+string(filepath.ListSeparator)+e.Getenv("PATH"))
			name := strings.ReplaceAll(filepath.Base(e.WorkDir), "script-", "")
			e.Vars = append(e.Vars, "CHARTPOST_PREFIX=t-"+name, "STREAM=T-"+strings.ToUpper(name))
			for _, doc := range samples.Documents() {
				if err := os.WriteFile(filepath.Join(e.WorkDir, doc.Name), doc.Bytes, 0o600); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "patient.json"), samples.Patient(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await, "unsaid": unsaid, "nostream": noStream},
	})
}

// exits holds the exit code of the program to the first argument.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE [ARG…]")
	}
	if got := code(ts, args[1:]); got != args[0] {
		ts.Fatalf("exit code %s, not %s", got, args[0])
	}
}

// await runs the program again and again until it succeeds and a line of its
// output matches: for what a worker does meanwhile.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP ARG…")
	}
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	devtest.Until(ts.Value(scriptTest{}).(testing.TB), "a line is like "+args[0], 2*time.Minute, func() bool {
		return code(ts, args[1:]) == "0" && wanted.MatchString(ts.ReadFile("stdout"))
	})
}

// scriptTest is under what a script finds the test that it is.
type scriptTest struct{}

// code is what the program exits with.
func code(ts *testscript.TestScript, args []string) string {
	err := ts.Exec("chartpost", args...)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return strconv.Itoa(ended.ExitCode())
	}
	ts.Check(err)
	return "0"
}

// unsaid makes sure that the last command showed no word of the patient, nor
// anything of Go's own: a type, a trace.
func unsaid(ts *testscript.TestScript, _ bool, args []string) {
	said := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, word := range append(args, "Zebedee", "goroutine ", "*errors.", "*fs.", "strconv.", "64 bit", "json: ", "panic") {
		if strings.Contains(said, word) {
			ts.Fatalf("%q was said:\n%s", word, said)
		}
	}
}

// noStream removes a stream, as an administrator can.
func noStream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nostream NAME")
	}
	nc, err := nats.Connect(ts.Getenv("CHARTPOST_NATS_URL"))
	ts.Check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	ts.Check(err)
	ts.Check(js.DeleteStream(ts.Value(scriptTest{}).(testing.TB).Context(), args[0]))
}

// world starts NATS, an S3 server and the simulator, and gives the variables
// that reach them.
func world(t *testing.T) []string {
	t.Helper()
	queue := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	options := s3dev.Options{Dir: t.TempDir(), Users: []s3dev.User{{AccessKey: "stranger", SecretKey: "stranger-secret"}}}
	s3 := devtest.Process(t, s3dev.StartProcess, options)
	if err := s3dev.Bucket(t.Context(), s3dev.Client(s3.URL(), options), "reports", false); err != nil {
		t.Fatal(err)
	}
	client, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	user, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	user.Client.User, user.Client.Sources = true, nil
	userKey := filepath.Join(t.TempDir(), "user.pem")
	if err := os.WriteFile(userKey, user.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	logs := platform.New(platform.Config{Note: canary})
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{client.Client, user.Client}, Platform: logs, Destinations: []string{"good-health", "other"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); sim.Close() })
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, client.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"CHARTPOST_NATS_URL=" + queue.URL(),
		"TAKEN=" + strings.TrimPrefix(s3.URL(), "http://"), // an address that is in use
		"CHARTPOST_S3_ENDPOINT=" + s3.URL(), "CHARTPOST_S3_PATH_STYLE=true", "CHARTPOST_S3_BUCKETS=reports",
		"CHARTPOST_REDOX_ENVIRONMENT=Development",
		"CHARTPOST_REDOX_API_URL=" + server.URL, "CHARTPOST_REDOX_BLOB_URL=" + server.URL, "CHARTPOST_REDOX_TOKEN_URL=" + server.URL + "/v2/auth/token",
		"CHARTPOST_REDOX_BLOB_HOSTS=blob.simulator.invalid",
		"CHARTPOST_REDOX_CLIENT_ID=" + client.ClientID, "CHARTPOST_REDOX_KEY_ID=" + client.KeyID, "CHARTPOST_REDOX_KEY_FILE=" + key,
		"CHARTPOST_OUTCOME_ORGANIZATION=1", "CHARTPOST_OUTCOME_CLIENT_ID=" + user.ClientID, "CHARTPOST_OUTCOME_KEY_ID=" + user.KeyID, "CHARTPOST_OUTCOME_KEY_FILE=" + userKey,
		"SOURCE=" + client.Client.Sources[0],
		"AWS_ACCESS_KEY_ID=" + s3dev.DefaultAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3dev.DefaultSecretKey,
		"AWS_SECRET=" + s3dev.DefaultSecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

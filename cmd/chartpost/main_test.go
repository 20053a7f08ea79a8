package main

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/samples"
)

// TestMain lets the test binary be the S3 server, and chartpost itself.
func TestMain(m *testing.M) {
	devstack.ServeIfAsked(s3dev.Role())
	os.Unsetenv("AWS_CA_BUNDLE") // every client of S3 would read it
	testscript.Main(m, map[string]func(){"chartpost": main})
}

// TestScripts runs the commands as a user does, against real servers that all
// scripts share. Each script has streams of its
// own, under its own prefix.
func TestScripts(t *testing.T) {
	vars := world(t)
	// Absolute, because the commands change the folder of this process.
	folder, err := filepath.Abs("testdata/script")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files: scripts, RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, vars...)
			name := strings.ReplaceAll(filepath.Base(e.WorkDir), "script-", "")
			e.Vars = append(e.Vars, "CHARTPOST_PREFIX=t-"+name, "STREAM=T-"+strings.ToUpper(name))
			for _, doc := range samples.Documents() {
				if err := os.WriteFile(filepath.Join(e.WorkDir, doc.Name), doc.Bytes, 0o600); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "patient.json"), samples.Patient(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "retry": retry, "unsaid": unsaid},
	})
}

// exits runs chartpost inside this process, which takes a tenth of the time of
// a process of its own, and holds its exit code to the first argument. A last
// argument "<FILE" is its standard input.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE [ARG…] [<FILE]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = args[1:]
	std := streams{in: strings.NewReader(""), out: ts.Stdout(), err: ts.Stderr()}
	if last := len(args) - 1; last >= 0 && strings.HasPrefix(args[last], "<") {
		std.in = strings.NewReader(ts.ReadFile(args[last][1:]))
		args = args[:last]
	}
	// Far more than a slow machine needs: a command that hangs ends, and fails.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if got := within(ts, func() int { return run(ctx, args, std) }); got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// retry is exits, again and again until the code is the wanted one: for what a
// worker does meanwhile.
func retry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: retry CODE ARG…")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		code := within(ts, func() int {
			return run(ctx, args[1:], streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
		})
		if strconv.Itoa(code) == args[0] {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("the exit code never was %s", args[0])
}

// variables are those that a command reads.
var variables = sync.OnceValues(func() ([]string, error) {
	names := []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"}
	parser, _, err := newParser(new(CLI))
	if err == nil {
		eachFlag(parser.Model.Node, func(f *kong.Flag) { names = append(names, app.EnvironmentName(f.Name)) })
	}
	return names, err
})

// oneAtATime guards what a process has once: its environment and its folder.
var oneAtATime sync.Mutex

// within runs do with the environment and the folder of a script.
func within(ts *testscript.TestScript, do func() int) int {
	oneAtATime.Lock()
	defer oneAtATime.Unlock()
	names, err := variables()
	ts.Check(err)
	for _, name := range names {
		before, was := os.LookupEnv(name)
		ts.Check(os.Setenv(name, ts.Getenv(name)))
		defer func() {
			if os.Unsetenv(name); was {
				os.Setenv(name, before)
			}
		}()
	}
	folder, err := os.Getwd()
	ts.Check(err)
	ts.Check(os.Chdir(ts.MkAbs(".")))
	defer os.Chdir(folder)
	return do()
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

// world starts NATS, an S3 server and the simulator, and gives the variables
// that reach them.
func world(t *testing.T) []string {
	t.Helper()
	nats := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	options := s3dev.Options{Dir: t.TempDir(), Users: []s3dev.User{{AccessKey: "stranger", SecretKey: "stranger-secret"}}}
	s3 := devtest.Process(t, s3dev.StartProcess, options)
	if err := s3dev.Bucket(t.Context(), s3dev.Client(s3.URL(), options), "reports", false); err != nil {
		t.Fatal(err)
	}
	client, err := redoxsim.GenerateClient(redoxsim.ES384)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := redoxsim.New(redoxsim.Config{Clients: []redoxsim.Client{client.Client}, Destinations: []string{"good-health"}})
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
		"CHARTPOST_NATS_URL=" + nats.URL(),
		"CHARTPOST_S3_ENDPOINT=" + s3.URL(), "CHARTPOST_S3_PATH_STYLE=true", "CHARTPOST_S3_BUCKETS=reports",
		"CHARTPOST_REDOX_ENVIRONMENT=Development",
		"CHARTPOST_REDOX_API_URL=" + server.URL, "CHARTPOST_REDOX_BLOB_URL=" + server.URL, "CHARTPOST_REDOX_TOKEN_URL=" + server.URL + "/v2/auth/token",
		"CHARTPOST_REDOX_BLOB_HOSTS=blob.simulator.invalid",
		"CHARTPOST_REDOX_CLIENT_ID=" + client.ClientID, "CHARTPOST_REDOX_KEY_ID=" + client.KeyID, "CHARTPOST_REDOX_KEY_FILE=" + key,
		"SOURCE=" + client.Client.Sources[0],
		"AWS_ACCESS_KEY_ID=" + s3dev.DefaultAccessKey, "AWS_SECRET_ACCESS_KEY=" + s3dev.DefaultSecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

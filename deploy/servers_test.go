package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	os.Unsetenv("AWS_CA_BUNDLE") // every client of S3 would read it
	// The AWS SDK's own chain is how a worker gets its credentials.
	os.Setenv("AWS_ACCESS_KEY_ID", worker)
	os.Setenv("AWS_SECRET_ACCESS_KEY", worker+"-secret")
	os.Exit(m.Run())
}

// patience bounds every wait: far more than a slow machine needs.
const patience = 2 * time.Minute

// genuine is the nats-server of these tests: CHARTPOST_TEST_NATS_SERVER, or the
// version this module requires.
var genuine = sync.OnceValues(func() (string, error) {
	if named := os.Getenv("CHARTPOST_TEST_NATS_SERVER"); named != "" {
		return named, nil
	}
	return devstack.Build(context.Background(), devstack.NATSServer)
})

// built builds a program of this module.
func built(path string) func() (string, error) {
	return sync.OnceValues(func() (string, error) { return devstack.Build(context.Background(), path) })
}

var (
	command = built("cmd/chartpost")
	dev     = built("cmd/chartpost-dev")
	prepare = built("deploy/compose/prepare")
)

// The roles; roles/<role>.conf has what each may do.
const (
	worker    = "worker"
	operator  = "operator"
	submitter = "submitter"
	watcher   = "watcher"
	taker     = "intake"
	caller    = "caller"
	follower  = "follower"
)

var roles = []string{worker, operator, submitter, watcher, taker, caller, follower}

// identities are an NKey for each role.
type identities map[string]identity

type identity struct{ seedFile, public string }

func newIdentities(t *testing.T, more ...string) identities {
	t.Helper()
	dir, all := t.TempDir(), identities{}
	for _, role := range slices.Concat(roles, more) {
		pair, err := nkeys.CreateUser()
		must(t, err)
		seed, err := pair.Seed()
		must(t, err)
		public, err := pair.PublicKey()
		must(t, err)
		file := filepath.Join(dir, role+".nk")
		must(t, os.WriteFile(file, seed, 0o600))
		all[role] = identity{file, public}
	}
	return all
}

// environment is what accounts.conf reads the public keys from.
func (all identities) environment() []string {
	var env []string
	for role, id := range all {
		env = append(env, strings.ToUpper(role)+"_NKEY="+id.public)
	}
	return env
}

func (all identities) roleOf(public string) string {
	for role, id := range all {
		if id.public == public {
			return role
		}
	}
	return ""
}

// settingsFor gives the folder of the settings for a prefix: the folder as it
// stands for chartpost, and else a copy in which the prefix is another.
func settingsFor(t *testing.T, prefix string) string {
	t.Helper()
	if prefix == "chartpost" {
		return "nats"
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("nats")))
	files, err := filepath.Glob(filepath.Join(dir, "roles", "*.conf"))
	must(t, err)
	renamed := strings.NewReplacer("chartpost", prefix, "CHARTPOST", strings.ToUpper(prefix))
	for _, file := range append(files, filepath.Join(dir, "accounts.conf")) {
		text, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, []byte(renamed.Replace(string(text))), 0o600))
	}
	return dir
}

// natsServer is a nats-server that runs files of nats/.
type natsServer struct {
	url string
	log *devtest.Log
}

// startNATS runs the genuine program for the length of a test, with ports of its
// own and a trace of all that clients do.
func startNATS(t *testing.T, file string, environment []string, arguments ...string) *natsServer {
	t.Helper()
	program, err := genuine()
	must(t, err)
	dir := t.TempDir()
	cmd := exec.Command(program, append([]string{
		"-c", file, "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-sd", filepath.Join(dir, "store"), "--ports_file_dir", dir, "-V",
	}, arguments...)...)
	cmd.Env = append(os.Environ(), environment...)
	s := &natsServer{}
	var ended <-chan struct{}
	s.log, ended = process(t, cmd)
	ports := filepath.Join(dir, fmt.Sprintf("%s_%d.ports", filepath.Base(program), cmd.Process.Pid))
	devtest.Until(t, "nats-server listens", patience, func() bool {
		select {
		case <-ended:
			t.Fatalf("nats-server ended:\n%s", s.log.Tail())
		default:
		}
		var told struct{ Nats []string }
		// The file may be half written: then the next look reads it whole.
		if raw, err := os.ReadFile(ports); err != nil || json.Unmarshal(raw, &told) != nil || len(told.Nats) == 0 {
			return false
		}
		s.url = told.Nats[0]
		return true
	})
	return s
}

// process runs a program for the length of a test: asked to stop at its end, by
// an interrupt. Its output is one log.
func process(t *testing.T, cmd *exec.Cmd) (log *devtest.Log, ended <-chan struct{}) {
	t.Helper()
	log = &devtest.Log{}
	cmd.Stdout, cmd.Stderr = log, log
	devstack.DieWithParent(cmd)
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-done:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-done
			t.Errorf("%s did not stop when asked", filepath.Base(cmd.Path))
		}
	})
	return log, done
}

// violations are the server's words for what it refused, each once.
func (s *natsServer) violations() []string {
	var found []string
	for line := range strings.Lines(s.log.String()) {
		if _, words, ok := strings.Cut(line, `" - `); ok && strings.Contains(words, " Violation - ") {
			if words = strings.TrimSpace(words); !slices.Contains(found, words) {
				found = append(found, words)
			}
		}
	}
	return found
}

// did is one line of the server's trace: a client of an NKey published to a
// subject, or subscribed to one.
var did = regexp.MustCompile(`nkey:(U[A-Z2-7]{55}).* <<- \[(PUB|HPUB|SUB) ([^ \]]+)`)

// used lists the subjects that a role published and subscribed to.
func (s *natsServer) used(ids identities, role string) (published, subscribed map[string]bool) {
	published, subscribed = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(s.log.String()) {
		m := did.FindStringSubmatch(line)
		switch {
		case m == nil || ids.roleOf(m[1]) != role:
		case m[2] == "SUB":
			subscribed[m[3]] = true
		default:
			published[m[3]] = true
		}
	}
	return published, subscribed
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exitCode of a command that ran.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

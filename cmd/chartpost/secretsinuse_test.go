package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/samples"
)

// TestSecretsInUse lets a worker deliver with secrets that work, and then with
// ones that are refused, and reads all that it shows: its log at debug level,
// what it answers over HTTP, its arguments.
func TestSecretsInUse(t *testing.T) {
	t.Parallel()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	nkey := filepath.Join(t.TempDir(), "seed.nk")
	if err := os.WriteFile(nkey, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	base := append(world(t), "CHARTPOST_NATS_URL="+natsFor(t, public), "CHARTPOST_NATS_NKEY="+nkey)
	ear := listenIn(t, valueIn(base, "CHARTPOST_REDOX_API_URL"))
	base = append(base,
		"CHARTPOST_REDOX_API_URL="+ear.url, "CHARTPOST_REDOX_BLOB_URL="+ear.url, "CHARTPOST_REDOX_TOKEN_URL="+ear.url+"/v2/auth/token",
		"CHARTPOST_REDOX_SOURCE_ID="+valueIn(base, "SOURCE"),
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS=authorization="+secret,
		"CHARTPOST_HTTP_ADDR=127.0.0.1:0", "CHARTPOST_PPROF=true", "AWS_SESSION_TOKEN=",
	)
	document := filepath.Join(t.TempDir(), "lab-report.pdf")
	patient := filepath.Join(t.TempDir(), "patient.json")
	for file, data := range map[string][]byte{document: samples.Documents()[0].Bytes, patient: samples.Patient()} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program(t), append(args, "--log-level", "debug")...)
		cmd.Env = append(os.Environ(), base...)
		return cmd
	}
	if said, err := command("setup").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	log := &devtest.Log{}
	worker := command("worker")
	worker.Stdout, worker.Stderr = log, log
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Process.Kill()
	said, err := command("send", "--to", "good-health", "--patient", patient, "--upload", document, "--bucket", "reports", "--transfer", "upload").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, said, log.Tail())
	}
	shown := answers(t, log)
	checked, err := command("check").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, checked)
	}
	ear.refuse()
	devtest.Until(t, "a refused key is told", 2*time.Minute, func() bool {
		out, _ := command("check").CombinedOutput()
		checked = append(checked, out...)
		return bytes.Contains(out, []byte("token_refused"))
	})
	worker.Process.Signal(syscall.SIGTERM)
	if err := worker.Wait(); err != nil {
		t.Errorf("the worker: %v", err)
	}

	words := append(ear.heard(), secret, string(seed), valueIn(base, "AWS_SECRET_ACCESS_KEY"))
	pem, err := os.ReadFile(valueIn(base, "CHARTPOST_REDOX_KEY_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	words = append(words, strings.Split(string(pem), "\n")[1])
	if slices.Contains(words, "") || len(words) < 6 {
		t.Fatalf("%d secrets are looked for", len(words))
	}
	for what, text := range map[string]string{
		"the log": log.String(), "send": string(said), "check": string(checked), "HTTP": shown, "the arguments": strings.Join(worker.Args, " "),
	} {
		if len(text) < 20 {
			t.Errorf("%s is too short to prove anything: %q", what, text)
		}
		hold(t, what, text, words...)
	}
}

func valueIn(set []string, name string) string {
	var value string
	for _, one := range set {
		if v, ok := strings.CutPrefix(one, name+"="); ok {
			value = v
		}
	}
	return value
}

var answersAt = regexp.MustCompile(`"http":"([^"]+)"`)

// answers is everything that a worker says over HTTP in words.
func answers(t *testing.T, log *devtest.Log) string {
	t.Helper()
	found := answersAt.FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("the worker does not say where it answers:\n%s", log.Tail())
	}
	var all strings.Builder
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/vars"} {
		resp, err := http.Get("http://" + found[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK && path != "/debug/vars" {
			t.Errorf("%s: %s", path, resp.Status)
		}
		fmt.Fprintf(&all, "%s\n%s\n", path, body)
	}
	return all.String()
}

// ear stands between a worker and the simulator and notes the secrets that
// pass by.
type ear struct {
	url     string
	mu      sync.Mutex
	passed  map[string]bool
	refused bool
}

func listenIn(t *testing.T, to string) *ear {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{passed: map[string]bool{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			e.note(token)
		}
		if strings.HasSuffix(r.URL.Path, "/auth/token") {
			body, err := io.ReadAll(r.Body)
			if form, bad := url.ParseQuery(string(body)); err == nil && bad == nil {
				e.note(form.Get("client_assertion"))
			}
			if e.refuses() {
				http.Error(w, `{"error":"invalid_client","error_description":"`+string(body)+`"}`, http.StatusUnauthorized)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	e.url = s.URL
	return e
}

func (e *ear) note(word string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if word != "" {
		e.passed[word] = true
	}
}

func (e *ear) refuse() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = true
}

func (e *ear) refuses() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused
}

func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var words []string
	for word := range e.passed {
		words = append(words, word)
	}
	return words
}

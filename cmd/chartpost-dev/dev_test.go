package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chartpost/chartpost/schemas"
)

// patience bounds every wait: far more than a slow machine needs.
const patience = time.Minute

// output is what a command wrote so far; a test may wait for a word of it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
	// ended is closed when nothing more will come.
	ended chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1), ended: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) await(t *testing.T, word string) {
	t.Helper()
	late := time.After(patience)
	for !strings.Contains(o.String(), word) {
		select {
		case <-o.changed:
		case <-o.ended:
			t.Fatalf("it ended without %q\n%s", word, o)
		case <-late:
			t.Fatalf("no %q in\n%s", word, o)
		}
	}
}

// command runs a command until stop is called, which gives the exit code.
func command(t *testing.T, args ...string) (out, errs *output, stop func() int) {
	t.Helper()
	// The world sets these for the whole process; t.Setenv takes them back.
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	ctx, cancel := context.WithCancel(context.Background())
	out, errs = newOutput(), newOutput()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, out, errs, nil)
		close(out.ended)
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(patience):
			t.Fatal("it does not end")
			return -1
		}
	})
	t.Cleanup(func() { stop() })
	return out, errs, stop
}

// once runs the samples to their end.
func once(t *testing.T, dir string, args ...string) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), append([]string{"--once", "--dir", dir}, args...), &out, &errs, nil); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	return out.String()
}

var freePorts = []string{"--nats-port=0", "--s3-port=0", "--redox-port=0", "--intake-port=0"}

// TestOnceTwice: a second start over the same folder takes new job ids and
// keeps the streams, and what the first one kept is nobody else's to read.
func TestOnceTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "world")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	first := once(t, dir, freePorts...)
	second := once(t, dir, "--nats-port", port, "--s3-port", port, "--redox-port", port, "--intake-port", port)
	if strings.Contains(second, ":"+port) {
		t.Error("a port that is taken is not replaced")
	}
	for _, out := range []string{first, second} {
		if n := strings.Count(out, " accepted "); n != 4 {
			t.Errorf("%d samples were accepted:\n%s", n, out)
		}
		_, table, _ := strings.Cut(out, "TIME ")
		for line := range strings.Lines("TIME " + table) {
			if utf8.RuneCountInString(line) > 121 {
				t.Errorf("more than 120 columns: %s", line)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Error("colors without a terminal")
		}
	}
	for line := range strings.Lines(second) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], "sample-") && strings.Contains(first, fields[1]) {
			t.Errorf("%s was there before", fields[1])
		}
	}
	private(t, dir)
}

// private makes sure that no one else can enter dir, and that what is written
// beside the servers' own files is for the owner alone.
func private(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]fs.FileMode{
		".": 0o700, "nats": 0o700, "s3": 0o700, "redox": 0o700,
		"redox/private-key.jwk": 0o600, "redox/client.json": 0o600, "chartpost.yaml": 0o600, "env": 0o600, "worker.log": 0o600, "job-pdf.json": 0o600, "patient.json": 0o600,
	} {
		about, err := os.Stat(filepath.Join(dir, name))
		if err != nil || about.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, about, err)
		}
	}
}

// TestStaysUp: without --once it stays after the samples, tells what to try,
// and a signal ends it in order.
func TestStaysUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "world")
	out, errs, stop := command(t, append([]string{"up", "--dir", dir}, freePorts...)...)
	out.await(t, "Ctrl-C ends it.")
	config, err := os.ReadFile(filepath.Join(dir, "chartpost.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"NATS", "S3", "Redox"} {
		_, rest, _ := strings.Cut(out.String(), "\n  "+address+" ")
		url := strings.Fields(rest)[0]
		if !strings.Contains(string(config), url) {
			t.Errorf("the address of %s, %s, is not in the settings:\n%s", address, url, config)
		}
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil || !strings.Contains(string(env), "export CHARTPOST_CONFIG="+filepath.Join(dir, "chartpost.yaml")) {
		t.Errorf("%v, %s", err, env)
	}
	if code := stop(); code != 0 || errs.String() != "" {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestServersAlone: the first line of output is JSON with the address.
func TestServersAlone(t *testing.T) {
	for _, args := range [][]string{{"redox"}, {"s3", "--bucket", "reports,scans"}} {
		dir := filepath.Join(t.TempDir(), args[0])
		out, errs, stop := command(t, append(args, "--port", "0", "--dir", dir)...)
		out.await(t, "\n")
		var about map[string]string
		if err := json.Unmarshal([]byte(out.String()), &about); err != nil || about["url"]+about["api_url"] == "" {
			t.Errorf("%v: %v, %s", args, err, out)
		}
		if code := stop(); code != 0 || errs.String() != "" {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
}

// A server that cannot have its folder says so, and what had started ends.
func TestCannotStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--once"}, {"redox", "--port", "0"}, {"s3", "--port", "0"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append(args, "--dir", file), &out, &errs, nil); code != 1 || !strings.HasPrefix(errs.String(), "chartpost-dev: ") {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"--nats-port: must be from 0 to 65535": {"up", "--nats-port", "70000"},
		"--s3-port: must be from 0 to 65535":   {"--s3-port=-1"},
		"--port: must be from 0 to 65535":      {"redox", "--port", "70000"},
		"--bucket: \"a\" must be 3 to 63":      {"s3", "--bucket", "a"},
		"--rate must not be negative":          {"redox", "--rate=-1"},
		"--nats-port":                          {"--nats-port", "x"},
		"unknown flag --onse":                  {"--onse"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs, nil); code != 2 || !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%v: exit code %d, %s%s", args, code, out.String(), errs.String())
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"up"}, {"redox"}, {"s3"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append(args, "--help"), &out, &errs, nil); code != 0 || errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %s", args, code, errs.String())
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%v: more than 80 columns: %s", args, line)
			}
		}
	}
}

// TestSamplesRun: the run is over with the last sample's last event, and fails
// when one was not accepted.
func TestSamplesRun(t *testing.T) {
	type event struct {
		id     string
		status schemas.Status
		last   bool
	}
	for name, c := range map[string]struct {
		events []event
		fails  string
	}{
		"all accepted": {[]event{{"a", schemas.StatusUploaded, false}, {"a", schemas.StatusAccepted, false}, {"b", schemas.StatusAccepted, true}}, ""},
		"one failed":   {[]event{{"a", schemas.StatusFailed, false}, {"b", schemas.StatusRetrying, false}, {"b", schemas.StatusAccepted, true}}, "a"},
		"both wrong":   {[]event{{"a", schemas.StatusDuplicate, false}, {"b", schemas.StatusUnknown, true}}, "a, b"},
		"strangers":    {[]event{{"x", schemas.StatusFailed, false}, {"a", schemas.StatusAccepted, false}, {"a", schemas.StatusAccepted, false}, {"b", schemas.StatusAccepted, true}}, ""},
	} {
		r := &samplesRun{open: map[string]bool{"a": true, "b": true}}
		for i, e := range c.events {
			if last := r.ended(schemas.Event{Data: schemas.EventData{JobID: e.id, Status: e.status}}); last != e.last {
				t.Errorf("%s, event %d: last is %v", name, i, last)
			}
		}
		want := ""
		if c.fails != "" {
			want = "these samples were not accepted: " + c.fails
		}
		got := ""
		if err := r.failure(); err != nil {
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
}

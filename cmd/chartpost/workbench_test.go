package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// bench is a deployment whose worker and commands are processes of their own, and
// whose spans come here.
type bench struct {
	t     *testing.T
	env   []string
	dir   string
	js    jetstream.JetStream
	log   *devtest.Log // of the last worker
	spans *spanLog
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, env: world(t), dir: t.TempDir(), log: &devtest.Log{}}
	b.spans = collectSpans(t)
	nc, err := nats.Connect(variable(b.env, "CHARTPOST_NATS_URL"), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return b
}

// worker starts one that holds what is unknown and retries soon; stop waits for
// its end.
func (b *bench) worker(set ...string) (stop func()) {
	b.t.Helper()
	cmd := exec.Command(program(b.t), "worker", "--redox-source-id", variable(b.env, "SOURCE"), "--log-level", "debug", "--http-addr", "127.0.0.1:0")
	cmd.Env = append(append(b.environment(), "CHARTPOST_ON_UNKNOWN=hold", "CHARTPOST_RETRY_FIRST=1s", "CHARTPOST_PPROF=true", "CHARTPOST_OTLP_ENDPOINT="+b.spans.url), set...)
	b.log = &devtest.Log{}
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { cmd.Process.Kill() })
	return func() {
		b.t.Helper()
		cmd.Process.Signal(syscall.SIGTERM)
		if code := exitCode(b.t, cmd); code != cli.ExitOK {
			b.t.Errorf("the worker: exit code %d\n%s", code, b.log.Tail())
		}
	}
}

// environment is what every program gets.
func (b *bench) environment() []string { return append(os.Environ(), b.env...) }

// run runs a command and gives what it said.
func (b *bench) run(want int, in string, args ...string) (out, errs string) {
	b.t.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(b.t.Context(), program(b.t), args...)
	cmd.Env = b.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &o, &e
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	if code := exitCode(b.t, cmd); code != want {
		b.t.Fatalf("%v: exit code %d, want %d\n%s%s\nend of the worker's log:\n%s", args, code, want, &o, &e, b.log.Tail())
	}
	return o.String(), e.String()
}

// of is the bench for a part of the test.
func (b *bench) of(t *testing.T) *bench {
	part := *b
	part.t = t
	return &part
}

func (b *bench) file(name string, data []byte) string {
	b.t.Helper()
	name = filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return name
}

// fault makes the simulator fail once.
func (b *bench) fault(f redoxsim.Fault) {
	b.t.Helper()
	f.Times = 1
	text, err := json.Marshal(f)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.Post(variable(b.env, "CHARTPOST_REDOX_API_URL")+"/_sim/faults", "application/json", bytes.NewReader(text))
	if err != nil || resp.StatusCode != http.StatusCreated {
		b.t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// publish puts a message into the queue as any client does.
func (b *bench) publish(subject string, data []byte, header ...string) {
	b.t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = data
	for i := 0; i+1 < len(header); i += 2 {
		msg.Header.Set(header[i], header[i+1])
	}
	if _, err := b.js.PublishMsg(b.t.Context(), msg); err != nil {
		b.t.Fatal(err)
	}
}

// eventsOf are the events of a job with their headers, by what follows the job
// in their ids.
func (b *bench) eventsOf(id string) map[string]nats.Header {
	b.t.Helper()
	found := map[string]nats.Header{}
	b.each("CHARTPOST_EVENTS", func(m *jetstream.RawStreamMsg) {
		event, err := schemas.DecodeEvent(m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		if event.Data.JobID == id {
			found[strings.TrimPrefix(event.ID, event.Data.Destination+"/"+id+"/")] = m.Header
		}
	})
	return found
}

// each reads what is in a stream.
func (b *bench) each(stream string, do func(*jetstream.RawStreamMsg)) {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		if err != nil { // taken out
			continue
		}
		do(m)
	}
}

// awaitEvent waits for an event of a job.
func (b *bench) awaitEvent(id, event string) {
	b.t.Helper()
	defer func() {
		if b.t.Failed() {
			b.t.Log(b.log.Tail())
		}
	}()
	devtest.Until(b.t, id+" "+event, 2*time.Minute, func() bool { return b.eventsOf(id)[event] != nil })
}

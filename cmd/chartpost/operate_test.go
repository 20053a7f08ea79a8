package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// office is a deployment without a worker, and an operator in front of it.
type office struct {
	t     *testing.T
	url   string
	queue *natsq.Conn
	js    jetstream.JetStream
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, url: devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()}
	o.do(cli.ExitOK, "setup")
	var err error
	if o.queue, err = natsq.Connect(natsq.Config{URL: o.url, Prefix: "chartpost"}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.queue.Close() })
	nc, err := nats.Connect(o.url, nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if o.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return o
}

// do runs a command that must end with a code, and gives all that it said.
func (o *office) do(want int, args ...string) string {
	o.t.Helper()
	return o.with(want, cli.Streams{In: strings.NewReader("")}, args...)
}

// ask does so for a person who answers.
func (o *office) ask(want int, answer string, args ...string) string {
	o.t.Helper()
	return o.with(want, cli.Streams{In: strings.NewReader(answer), InTerminal: true, ErrTerminal: true}, args...)
}

func (o *office) with(want int, std cli.Streams, args ...string) string {
	o.t.Helper()
	var out, errs bytes.Buffer
	std.Out, std.Err = &out, &errs
	if code := run(o.t.Context(), append(args, "--nats-url", o.url), std); code != want {
		o.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	said := out.String() + errs.String()
	if strings.Contains(said, "Zebedee") {
		o.t.Errorf("%v says: %s", args, said)
	}
	return said
}

// bury puts a failed job that the ledger has forgotten into the dead letters.
func (o *office) bury(id, expires string) {
	o.t.Helper()
	data := fmt.Appendf(nil, `{"id":%q,"operation":"documentreference-create","requested_at":"2020-11-20T10:00:00Z","expires_at":%q,
		"destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee.pdf","title":"Zebedee"}],
		"message":{"patient":{"resourceType":"Patient","id":"Zebedee"},"resource":{"resourceType":"DocumentReference"}}}`, id, expires)
	err := o.queue.Outbox().Bury(o.t.Context(), worker.DeadLetter{
		Lane: schemas.Lane{Class: schemas.Live, Destination: "good-health"}, Data: data, Key: "dead/1/" + id + "/1/failed", JobID: id,
		Status: schemas.StatusFailed, Reason: schemas.Reason{Kind: "permanent", Code: "file_missing", Text: "gone", Path: "/files/0"},
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// count is how many messages a stream holds, once due jobs are in their lanes.
func (o *office) count(stream string) uint64 {
	o.t.Helper()
	if stream == "JOBS" {
		devtest.InLane(o.t, o.js, "chartpost")
	}
	s, err := o.js.Stream(o.t.Context(), "CHARTPOST_"+stream)
	if err != nil {
		o.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

const (
	never = "2099-01-01T00:00:00Z"
	long  = "2020-11-21T10:00:00Z" // ago
)

// TestNothingWithoutAnAudit: an action of which no record can be written is not
// done.
func TestNothingWithoutAnAudit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.bury("a", never)
	if err := o.js.DeleteStream(t.Context(), "CHARTPOST_AUDIT"); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"lane pause both good-health --for 1h --reason x", "lane limit live good-health 3", "lane resume live good-health",
		"dead replay a --yes", "dead drop a --reason x --yes", "dead show a --show-content",
	} {
		said := o.do(cli.ExitFailed, strings.Fields(args)...)
		if !strings.Contains(said, "nothing was done, because the audit record could not be written") || !strings.Contains(said, "chartpost setup") {
			t.Errorf("%s: %s", args, said)
		}
	}
	if jobs, dead, control := o.count("JOBS"), o.count("DEAD"), strings.Count(o.do(cli.ExitOK, "lane", "ls", "--json"), "\n"); jobs != 0 || dead != 1 || control != 0 {
		t.Errorf("%d jobs, %d dead letters, %d lanes with a state", jobs, dead, control)
	}
	o.do(cli.ExitOK, "dead", "show", "a")
	o.do(cli.ExitOK, "setup")
	o.do(cli.ExitOK, "dead", "replay", "a", "--yes")
}

// TestReplayOfMany: some are refused, and that is what the exit code says.
func TestReplayOfMany(t *testing.T) {
	o := newOffice(t)
	for i := range 30 {
		expires := never
		if i%3 == 0 {
			expires = long
		}
		o.bury(fmt.Sprint("job-", i), expires)
	}
	said := o.ask(cli.ExitFailed, "n\n", "dead", "replay", "--all")
	if !strings.Contains(said, "Run 30 jobs again? [y/N] ") || !strings.Contains(said, "30    live   good-health  failed  file_missing") || !strings.Contains(said, "declined") {
		t.Error(said)
	}
	if said = o.do(cli.ExitOK, "dead", "replay", "--all", "--dry-run"); !strings.Contains(said, "10    the job's expires_at has passed") || !strings.Contains(said, "20    would be resent as a possible duplicate") {
		t.Error(said)
	}
	if o.count("JOBS") != 0 || o.count("DEAD") != 30 || o.count("AUDIT") != 0 {
		t.Error("something was done")
	}
	began := time.Now()
	said = o.ask(cli.ExitPartly, "yes\n", "dead", "replay", "--code", "file_missing", "--rate", "100/s")
	if !strings.Contains(said, "10 of 30 were refused") || !strings.Contains(said, "20    is on its way again as a possible duplicate") {
		t.Error(said)
	}
	if took := time.Since(began); took < 290*time.Millisecond {
		t.Errorf("30 jobs at 100 a second took %s", took)
	}
	if jobs, dead, audit := o.count("JOBS"), o.count("DEAD"), o.count("AUDIT"); jobs != 20 || dead != 10 || audit != 40 {
		t.Errorf("%d jobs, %d dead letters, %d records", jobs, dead, audit)
	}
	if said = o.do(cli.ExitFailed, "dead", "replay", "job-0", "--yes"); !strings.Contains(said, "expires_at has passed") {
		t.Error(said)
	}
	o.do(cli.ExitOK, "dead", "replay", "--destination", "good-health", "--limit", "4", "--expires-in", "1h", "--yes")
	if jobs, dead := o.count("JOBS"), o.count("DEAD"); jobs != 24 || dead != 6 {
		t.Errorf("%d jobs, %d dead letters", jobs, dead)
	}
	o.do(cli.ExitOK, "dead", "drop", "--until", "2020-01-01", "--reason", "x", "--yes") // none is so old
	o.ask(cli.ExitOK, "y\n", "dead", "drop", "--since", "1h", "--reason", "x")
	if o.count("DEAD") != 0 {
		t.Error("dead letters are left")
	}
	o.do(cli.ExitOK, "dead", "drop", "--all", "--reason", "x", "--yes")
}

// TestExportBeyondTheEnd: a stream that was made anew counts from 1 again, and an
// export that goes on where the old one ended would never see anything.
func TestExportBeyondTheEnd(t *testing.T) {
	o := newOffice(t)
	name := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(name, []byte(`{"sequence":7,"event":{}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--from-seq", "2"}, {"--out", name, "--resume"}} {
		if said := o.do(cli.ExitUsage, append([]string{"events", "export"}, args...)...); !strings.Contains(said, "the stream was made anew or is another: the last one is 0") || strings.Contains(said, "exported") {
			t.Error(said)
		}
	}
	o.do(cli.ExitOK, "events", "export", "--from-seq", "1")
}

// TestReplayInterrupted: Ctrl-C leaves the rest where it is.
func TestReplayInterrupted(t *testing.T) {
	o := newOffice(t)
	for i := range 5 {
		o.bury(fmt.Sprint("job-", i), never)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs devtest.Log
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"dead", "replay", "--all", "--rate", "1/h", "--yes", "--nats-url", o.url}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	}()
	// It says so when all answers are there; the streams show it before.
	devtest.Until(t, "the first is sent", time.Minute, func() bool { return strings.Contains(out.String(), "\n") })
	if jobs, dead, audit := o.count("JOBS"), o.count("DEAD"), o.count("AUDIT"); jobs != 1 || dead != 4 || audit != 2 {
		t.Errorf("%d jobs, %d dead letters, %d records", jobs, dead, audit)
	}
	cancel()
	if code := <-done; code != cli.ExitPartly || !strings.Contains(errs.String(), "stopped after 1 of 5") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if o.count("DEAD") != 4 {
		t.Errorf("%d dead letters", o.count("DEAD"))
	}
}

// TestWatch filters events, outlives the loss of its connection, and ends by
// Ctrl-C with exit code 0.
func TestWatch(t *testing.T) {
	o := newOffice(t)
	line := devtest.NewLine(t, o.url)
	tell := func(id string, status schemas.Status, tenant string) {
		d := schemas.EventData{JobID: id, Class: schemas.Live, Destination: "good-health", Status: status, Attempt: 1,
			Reason: &schemas.Reason{Kind: "permanent", Code: "x"}, Receipt: &schemas.Receipt{Status: 200}, Correlation: map[string]string{"tenant": tenant}}
		if err := o.queue.Outbox().Tell(t.Context(), schemas.Lane{Class: d.Class, Destination: d.Destination}, schemas.NewEvent("chartpost", d, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	tell("before", schemas.StatusFailed, "a")
	tell("early", schemas.StatusUploaded, "a")
	tell("other", schemas.StatusFailed, "b")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs devtest.Log
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"watch", "--since", "1h", "--final", "--correlation", "tenant=a", "--json", "--nats-url", line.URL()},
			cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	}()
	seen := func(n int) {
		t.Helper()
		devtest.Until(t, fmt.Sprint(n, " events"), time.Minute, func() bool { return strings.Count(out.String(), "\n") == n })
	}
	seen(1)
	line.Deafen(true)
	tell("lost-on-the-way", schemas.StatusFailed, "b")
	tell("meanwhile", schemas.StatusAccepted, "a")
	line.Deafen(false)
	seen(2)
	cancel()
	if code := <-done; code != cli.ExitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if said := out.String(); !strings.Contains(said, `"job_id":"before"`) || !strings.Contains(said, `"job_id":"meanwhile"`) {
		t.Error(said)
	}
	// At once, before it stands.
	if code := run(ctx, []string{"watch", "--nats-url", o.url}, cli.Streams{Out: &out, Err: &errs}); code != cli.ExitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

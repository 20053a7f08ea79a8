package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/report"
	"github.com/chartpost/chartpost/internal/backfill/status"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/samples"
	"github.com/chartpost/chartpost/schemas"
)

// process starts the program.
func process(t *testing.T, env []string, args ...string) (*exec.Cmd, *devtest.Log) {
	t.Helper()
	cmd, said := exec.Command(program(t), args...), &devtest.Log{}
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, said
}

// exitCode waits for the end of a process.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	defer time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() }).Stop()
	if err := cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return cmd.ProcessState.ExitCode()
}

const killedTemplate = `
id: "arch-{{ .id }}"
operation: documentreference-create
destination: {slug: good-health, environment: Development}
files: [{bucket: reports, key: "{{ .key }}", content_type: application/pdf}]
message:
  patient: {resourceType: Patient, identifier: [{system: "urn:oid:1.2", value: "{{ .id }}"}], name: [{family: Zebedee}], gender: other, birthDate: "1970-01-01"}
  resource: {resourceType: DocumentReference, status: current}
`

// TestBackfillKilled kills a feeder with kill -9 in the middle of a run, with jobs
// in the queue and message ids that nobody remembers, and lets another process go
// on beside a worker: Redox has every document once, and the report adds up.
func TestBackfillKilled(t *testing.T) {
	t.Parallel()
	const lines, missing = 60, 40
	env, dir := world(t), t.TempDir()
	var url, redox, source string
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "CHARTPOST_NATS_URL":
			url = value
		case "CHARTPOST_REDOX_API_URL":
			redox = value
		case "SOURCE":
			source = value
		}
	}
	file := func(name string, data []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	command := func(want int, args ...string) string {
		t.Helper()
		cmd, said := process(t, env, args...)
		if got := exitCode(t, cmd); got != want {
			t.Fatalf("%v: exit code %d\n%s", args, got, said)
		}
		return said.String()
	}
	rows := []byte("id,key\n")
	for i := range lines {
		key := "Zebedee/a.pdf"
		if i+2 == missing {
			key = "Zebedee/gone.pdf"
		}
		rows = fmt.Appendf(rows, "%d,%s\n", i+2, key)
	}
	manifest, template := file("archive.csv", rows), file("template.yaml", []byte(killedTemplate))
	document := file("document.pdf", samples.Documents()[0].Bytes)
	setUp(t, url, 100*time.Millisecond)
	command(cli.ExitOK, "send", "--to", "good-health", "--patient", file("patient.json", samples.Patient()), "--upload", document,
		"--bucket", "reports", "--key", "Zebedee/a.pdf", "--id", "first", "--wait", "0")

	feed := []string{"backfill", "run", manifest, "--template", template, "--id", "killed", "--feeder-lease", "1s", "--outstanding"}
	queued := func(n int) {
		t.Helper()
		devtest.Until(t, fmt.Sprintf("%d jobs are queued", n), 2*time.Minute, func() bool { return jobsOf(t, url, "killed") == n })
	}
	feeder, said := process(t, env, append(feed, "10")...)
	queued(10)
	if err := feeder.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, feeder); code != cli.ExitFailed || !strings.Contains(said.String(), "run the same command with --id killed") {
		t.Fatalf("interrupted: exit code %d\n%s", code, said)
	}
	feeder, said = process(t, env, append(feed, "25")...)
	status := func() (s status.Status) {
		if err := json.Unmarshal([]byte(command(cli.ExitOK, "backfill", "status", "killed", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	queued(25)
	if err := feeder.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, feeder); code != -1 || !strings.HasPrefix(said.String(), "killed\n") {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	worker, workerSaid := process(t, env, "worker", "--redox-source-id", source)
	if out := command(cli.ExitNotAccepted, append(feed, "25")...); !strings.Contains(out, "60 of 60 done: 59 accepted, 0 duplicate, 1 failed, 0 unknown") {
		t.Error(out)
	}
	if s := status(); s.Feeder != "" || s.EndedAt.IsZero() || s.Progress.InFlight != 0 {
		t.Errorf("%+v", s)
	}
	if err := worker.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, worker); code != cli.ExitOK {
		t.Errorf("the worker: exit code %d\n%s", code, workerSaid)
	}
	once(t, url, redox, lines-1)
	out := filepath.Join(dir, "report.csv")
	if said := command(cli.ExitNotAccepted, "backfill", "report", "killed", manifest, "--template", template, "--out", out); strings.Contains(said, "Zebedee") {
		t.Errorf("a patient:\n%s", said)
	}
	reportIs(t, out, lines, fmt.Sprint(missing))
	again := []string{"backfill", "report", "killed", manifest, "--template", template, "--out"}
	if said := command(cli.ExitUsage, append(again, out)...); !strings.Contains(said, "see --force") {
		t.Error(said)
	}
	command(cli.ExitNotAccepted, append(again, out, "--force")...)
	reportIs(t, out, lines, fmt.Sprint(missing))
	if said := command(cli.ExitNotAccepted, append(again, "-")...); !strings.Contains(said, strings.Join(report.Columns(), ",")+"\n") || !strings.Contains(said, "OUTCOME ") {
		t.Error(said)
	}
	again[3] = file("other.csv", append(rows, "77,Zebedee\n"...))
	if said := command(cli.ExitUsage, append(again, "-")...); !strings.Contains(said, backfill.ErrManifest.Error()) && !strings.Contains(said, backfill.ErrUnbalanced.Error()) {
		t.Error(said)
	}
}

// setUp makes streams that remember message ids for so long; a server can do so
// for 100 ms at the least.
func setUp(t *testing.T, url string, duplicates time.Duration) {
	t.Helper()
	queue := dial(t, url)
	defer queue.Close()
	patient, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := queue.Setup(patient, natsq.Layout{
		Replicas: 1, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: time.Hour, Duplicates: duplicates,
	}); err != nil {
		t.Fatal(err)
	}
}

// jobsOf counts the jobs of a run that are in the queue.
func jobsOf(t *testing.T, url, run string) (n int) {
	t.Helper()
	queue := dial(t, url)
	defer queue.Close()
	if err := queue.RunJobs().Queued(t.Context(), run, func(int64) { n++ }); err != nil {
		t.Fatal(err)
	}
	return n
}

func dial(t *testing.T, url string) *natsq.Conn {
	t.Helper()
	queue, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return queue
}

// once makes sure that Redox has n documents of the run, that each job was
// accepted once, and that no second copy of one was ever taken.
func once(t *testing.T, url, redox string, n int) {
	t.Helper()
	queue := dial(t, url)
	defer queue.Close()
	ended := map[string]int{}
	ctx, stop := context.WithCancel(t.Context())
	err := queue.RunEvents().Follow(ctx, "killed", 0, time.Now().Add(-time.Hour), func() bool { stop(); return false }, func(_ uint64, e *schemas.Event) {
		if e != nil {
			ended[string(e.Data.Status)]++
			ended[e.Data.JobID]++
		}
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if ended["accepted"] != n || ended["failed"] != 1 || ended["duplicate"] != 0 || len(ended) != n+1+2 {
		t.Errorf("%v", ended)
	}
	delivered(t, redox, n+1) // and the one that brought the file into the store
}

// delivered holds Redox to so many messages.
func delivered(t *testing.T, redox string, n int) {
	t.Helper()
	answer, err := http.Get(redox + "/_sim/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var messages []json.RawMessage
	if err := json.Unmarshal(body, &messages); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	if len(messages) != n {
		t.Errorf("Redox has %d messages, want %d", len(messages), n)
	}
}

// reportIs holds a report to the lines of the manifest.
func reportIs(t *testing.T, name string, lines int, failed string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("Zebedee")) {
		t.Error("the report has a patient")
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != lines+1 || strings.Join(rows[0], ",") != strings.Join(report.Columns(), ",") {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows[1:] {
		want := "accepted"
		if row[0] == failed {
			want = "failed"
		}
		if row[0] != fmt.Sprint(i+2) || row[1] != "arch-"+row[0] || row[2] != want || want == "accepted" && (row[7] == "" || len(row[8]) != 64 || row[10] == "" || row[11] == "") {
			t.Errorf("%q", row)
		}
	}
}

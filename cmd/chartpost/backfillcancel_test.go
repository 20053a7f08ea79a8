package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// variable is the value of one of a world's variables.
func variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// TestBackfillCancelled cancels a run with jobs in the queue, before any worker is
// there: all of its lines end as cancelled, and Redox gets none of them.
func TestBackfillCancelled(t *testing.T) {
	t.Parallel()
	const lines, queued = 40, 25
	env, dir := world(t), t.TempDir()
	url, redox := variable(env, "CHARTPOST_NATS_URL"), variable(env, "CHARTPOST_REDOX_API_URL")
	setUp(t, url, 10*time.Minute)
	var rows bytes.Buffer
	rows.WriteString("id,key\n")
	for i := range lines {
		fmt.Fprintf(&rows, "%d,Zebedee/a.pdf\n", i+2)
	}
	manifest, template := filepath.Join(dir, "archive.csv"), filepath.Join(dir, "template.yaml")
	for name, data := range map[string][]byte{manifest: rows.Bytes(), template: []byte(killedTemplate)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(want int, args ...string) string {
		t.Helper()
		cmd, said := process(t, env, args...)
		if got := exitCode(t, cmd); got != want {
			t.Fatalf("%v: exit code %d\n%s", args, got, said)
		}
		return said.String()
	}
	feeder, said := process(t, env, "backfill", "run", manifest, "--template", template, "--id", "unwanted", "--outstanding", fmt.Sprint(queued))
	devtest.Until(t, "jobs are queued", 2*time.Minute, func() bool { return jobsOf(t, url, "unwanted") == queued })
	for _, answer := range []string{"unwanted: cancelled;", "unwanted: was cancelled already"} {
		if out := command(cli.ExitOK, "backfill", "cancel", "unwanted", "--by", "ops", "--reason", "the wrong archive", "--yes"); !strings.HasPrefix(out, answer) {
			t.Error(out)
		}
	}
	if out := command(cli.ExitFailed, "backfill", "resume", "unwanted"); !strings.Contains(out, "final") {
		t.Error(out)
	}
	// Else what the worker takes out of the queue makes room for more.
	devtest.Until(t, "the feeder knows of the cancel", 2*time.Minute, func() bool { return strings.Contains(said.String(), "the run is cancelled") })
	worker, _ := process(t, env, "worker", "--redox-source-id", variable(env, "SOURCE"))
	if code := exitCode(t, feeder); code != cli.ExitNotAccepted || !strings.Contains(said.String(), "40 of 40 done: 0 accepted, 0 duplicate, 0 failed, 0 unknown, 40 cancelled") {
		t.Errorf("the feeder: exit code %d\n%s", code, said)
	}
	if err := worker.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	exitCode(t, worker)
	out := filepath.Join(dir, "report.ndjson")
	command(cli.ExitNotAccepted, "backfill", "report", "unwanted", manifest, "--template", template, "--out", out)
	report, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if all, told := bytes.Count(report, []byte(`"outcome":"cancelled"`)), bytes.Count(report, []byte(`"reason":"run_cancelled"`)); all != lines || told != queued {
		t.Errorf("%d lines are cancelled, %d of them by a worker\n%s", all, told, report)
	}
	if out := command(cli.ExitOK, "backfill", "forget", "unwanted", "--reason", "done", "--yes"); out != "unwanted: forgotten\n" {
		t.Error(out)
	}
	if out := command(cli.ExitFailed, "backfill", "forget", "unwanted", "--reason", "done", "--yes"); !strings.Contains(out, "its name is not used again") {
		t.Error(out)
	}
	answer, err := http.Get(redox + "/_sim/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var messages []json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&messages); err != nil || len(messages) != 0 {
		t.Errorf("Redox has %d messages: %v", len(messages), err)
	}
}

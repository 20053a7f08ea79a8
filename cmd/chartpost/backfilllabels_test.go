package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/samples"
)

const labelsTemplate = `
id: "doc-{{ .id }}"
operation: documentreference-create
destination: {slug: "{{ .to }}", environment: Development}
files: [{bucket: reports, key: "{{ .key }}", content_type: application/pdf}]
message:
  patient: {resourceType: Patient, identifier: [{system: "urn:oid:1.2", value: "{{ .id }}"}], name: [{family: Zebedee}], gender: other, birthDate: "1970-01-01"}
  resource: {resourceType: DocumentReference, status: current}
`

// strangersJob fails, and says that it is the line of a run that is accepted.
const strangersJob = `{"id":"stranger","operation":"documentreference-create","requested_at":"2026-11-20T10:00:00Z","expires_at":"2099-01-01T00:00:00Z",
 "destination":{"slug":"good-health","environment":"Development"},"files":[{"bucket":"reports","key":"Zebedee/never.pdf"}],
 "correlation":{"backfill_run":"labels","backfill_line":"2","tenant":"a"},
 "message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference","status":"current"}}}`

// TestBackfillLabels: what belongs to a run is what the run published, and what an
// operator sends again of it, also after the run was cancelled. A submitter's job that
// says so of itself is not. The same id at two destinations is two lines.
func TestBackfillLabels(t *testing.T) {
	t.Parallel()
	env, dir := world(t), t.TempDir()
	url := variable(env, "CHARTPOST_NATS_URL")
	setUp(t, url, 10*time.Minute)
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
			t.Fatalf("%v: exit code %d, want %d\n%s", args, got, want, said)
		}
		return said.String()
	}
	patient, document := file("patient.json", samples.Patient()), file("document.pdf", samples.Documents()[0].Bytes)
	upload := func(name string) {
		t.Helper()
		command(cli.ExitOK, "send", "--to", "good-health", "--patient", patient, "--upload", document, "--bucket", "reports", "--key", "Zebedee/"+name+".pdf", "--id", "put-"+name, "--wait", "0")
	}
	become := func(job, state string) {
		t.Helper()
		devtest.Until(t, job+" is "+state, 2*time.Minute, func() bool {
			cmd, said := process(t, env, "status", job, "--json")
			return exitCode(t, cmd) == cli.ExitOK && strings.Contains(said.String(), `"state":"`+state+`"`)
		})
	}
	upload("a")
	manifest, template := file("archive.csv", []byte("id,to,key\n1,good-health,Zebedee/a.pdf\n1,other,Zebedee/a.pdf\n2,good-health,Zebedee/b.pdf\n3,good-health,Zebedee/c.pdf\n")), file("template.yaml", []byte(labelsTemplate))
	if said := command(cli.ExitOK, "backfill", "plan", manifest, "--template", template, "--quick"); strings.Contains(said, "duplicate_id") {
		t.Errorf("the same id at two destinations: %s", said)
	}
	command(cli.ExitOK, "lane", "pause", "backfill", "other", "--for", "1h", "--reason", "the run is not to end")
	command(cli.ExitOK, "backfill", "run", manifest, "--template", template, "--id", "labels", "--no-follow")

	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "chartpost.jobs.live.good-health", Data: []byte(strangersJob), Header: nats.Header{natsq.HeaderBackfill: {"labels/2"}},
	}); err != nil {
		t.Fatal(err)
	}
	worker, _ := process(t, env, "worker", "--redox-source-id", variable(env, "SOURCE"))
	become("good-health/stranger", "failed")
	if said := command(cli.ExitOK, "status", "stranger", "--json"); strings.Contains(said, "backfill_") || !strings.Contains(said, `"tenant":"a"`) {
		t.Errorf("the events of a submitter's job: %s", said)
	}
	become("good-health/doc-1", "accepted")
	become("good-health/doc-2", "failed")
	become("good-health/doc-3", "failed")

	upload("b")
	command(cli.ExitOK, "dead", "replay", "good-health/doc-2", "--yes")
	become("good-health/doc-2", "accepted")
	command(cli.ExitOK, "backfill", "cancel", "labels", "--reason", "enough", "--yes")
	upload("c")
	command(cli.ExitOK, "dead", "replay", "good-health/doc-3", "--yes")
	become("good-health/doc-3", "accepted")
	command(cli.ExitOK, "lane", "resume", "backfill", "other")
	become("other/doc-1", "cancelled")
	if err := worker.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	exitCode(t, worker)

	out := filepath.Join(dir, "report.ndjson")
	command(cli.ExitNotAccepted, "backfill", "report", "labels", manifest, "--template", template, "--out", out)
	report, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for row := range bytes.Lines(report) {
		var line struct {
			Line    int
			Outcome string
		}
		if err := json.Unmarshal(row, &line); err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprintf("%d %s|", line.Line, line.Outcome)
	}
	if want := "2 accepted|3 cancelled|4 accepted|5 accepted|"; got != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, report)
	}
}

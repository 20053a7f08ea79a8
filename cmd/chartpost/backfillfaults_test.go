package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/samples"
)

const faultyTemplate = `
id: "doc-{{ .id }}"
operation: documentreference-create
destination: {slug: good-health, environment: Development}
files: [{bucket: reports, key: "{{ .key }}", sha256: "{{ .hash | omitempty }}", content_type: application/pdf}]
message:
  patient: {resourceType: Patient, identifier: [{system: "urn:oid:1.2", value: "{{ .id }}"}], name: [{family: "{{ .last }}"}], gender: other, birthDate: '{{ .born | date "20060102" "2006-01-02" }}'}
  resource: {resourceType: DocumentReference, status: current}
`

// TestBackfillFaults takes a manifest with a fault of every kind through plan, run and
// report: a plan names line, column and rule and never a value; nothing is sent
// unless the faulty lines are left out; and the report tells of each.
func TestBackfillFaults(t *testing.T) {
	t.Parallel()
	env, dir := world(t), t.TempDir()
	setUp(t, variable(env, "CHARTPOST_NATS_URL"), 10*time.Minute)
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
		if strings.Contains(said.String(), "Zebedee") {
			t.Errorf("%v tells a value:\n%s", args, said)
		}
		return said.String()
	}
	command(cli.ExitOK, "send", "--to", "good-health", "--patient", file("patient.json", samples.Patient()), "--upload", file("document.pdf", samples.Documents()[0].Bytes),
		"--bucket", "reports", "--key", "Zebedee/a.pdf", "--id", "first", "--wait", "0")

	const good = ",Zebedee,19700131,Zebedee/a.pdf,\r\n"
	lines := []string{
		"1" + good,
		"2,Zebedee \xff,19700131,Zebedee/a.pdf,\r\n",
		"3,Zebedee,19700131\r\n",
		"4,Zebedee,1970,Zebedee/a.pdf,\r\n",
		"5,Zeb\"edee,19700131,Zebedee/a.pdf,\r\n",
		"6,\"Zebedee\n\"\"the\"\" second\",19700131,Zebedee/a.pdf,\r\n",
		"7," + strings.Repeat("Zebedee ", 1<<17) + ",19700131,Zebedee/a.pdf,\r\n",
		"8,,19700131,Zebedee/a.pdf,\r\n",
		"Zebedee 9" + good,
		"10,Zebedee,19700131,Zebedee/gone.pdf,\r\n",
		"11,Zebedee,19700131,Zebedee/a.pdf," + strings.Repeat("0", 64) + "\r\n",
		"12,\"Zebedee,19700131,Zebedee/a.pdf,\r\n",
	}
	const head = "\xef\xbb\xbfid,last,born,key,hash\r\n"
	// The record of line 7 has two lines.
	want := []struct {
		line           int
		column, reason string
	}{
		{2, "", ""}, {3, "#2", "not_utf8"}, {4, "", "field_count"}, {5, "born", "not_a_date"}, {6, "", "csv_quote"}, {7, "", ""},
		{9, "", "line_too_long"}, {10, "last", "empty"}, {11, "id", "pattern"}, {12, "", "file_missing"}, {13, "", "file_hash_mismatch"}, {14, "", "csv_quote"},
	}
	template := file("template.yaml", []byte(faultyTemplate))
	twice := file("twice.csv", []byte(head+strings.Join(lines, "")+"1"+good))
	manifest := file("archive.csv", []byte(head+strings.Join(lines, "")))

	var plan planning.Plan
	said := command(cli.ExitUsage, "backfill", "plan", twice, "--template", template, "--head", "--json")
	if err := json.NewDecoder(strings.NewReader(said)).Decode(&plan); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	told := map[int64]string{}
	for _, f := range plan.Faults {
		told[f.Line] = f.Column + " " + f.Code
	}
	for _, w := range want {
		expected := ""
		if w.reason != "" && w.reason != "file_hash_mismatch" { // no byte of a file is read
			expected = w.column + " " + w.reason
		}
		if told[int64(w.line)] != expected {
			t.Errorf("the plan says of line %d %q, want %q", w.line, told[int64(w.line)], expected)
		}
	}
	if told[15] != " duplicate_id" || plan.Lines != 13 || plan.Faulty != 10 {
		t.Errorf("%d of %d lines are faulty; line 15: %q", plan.Faulty, plan.Lines, told[15])
	}
	if said := command(cli.ExitUsage, "backfill", "run", twice, "--template", template, "--id", "twice", "--skip-faulty"); !strings.Contains(said, "nothing was sent") {
		t.Error(said)
	}
	if said := command(cli.ExitUsage, "backfill", "run", manifest, "--template", template, "--id", "faulty"); !strings.Contains(said, "nothing was sent") {
		t.Error(said)
	}
	worker, _ := process(t, env, "worker", "--redox-source-id", variable(env, "SOURCE"))
	command(cli.ExitNotAccepted, "backfill", "run", manifest, "--template", template, "--id", "faulty", "--skip-faulty")
	if err := worker.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	exitCode(t, worker)
	out := filepath.Join(dir, "report.csv")
	command(cli.ExitNotAccepted, "backfill", "report", "faulty", manifest, "--template", template, "--out", out)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != len(want)+1 || bytes.Contains(data, []byte("Zebedee")) {
		t.Fatalf("%d rows, %v\n%s", len(rows), err, data)
	}
	for i, w := range want {
		outcome := "accepted"
		if w.reason != "" {
			outcome = "failed"
		}
		if got, want := strings.Join([]string{rows[i+1][0], rows[i+1][2], rows[i+1][3]}, " "), fmt.Sprintf("%d %s %s", w.line, outcome, w.reason); got != want {
			t.Errorf("the report says %q, want %q", got, want)
		}
	}
}

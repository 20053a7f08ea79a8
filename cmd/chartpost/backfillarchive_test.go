package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/status"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/samples"
)

var archiveLines = flag.Int("archive-lines", 2_000, "objects of the bucket that TestBackfillArchive delivers; at least 1,000")

const listTemplate = `
id: '{{ .key | part "_" "2" | part "." "1" }}'
operation: documentreference-create
destination: {slug: '{{ .key | part "/" "2" }}', environment: Development}
files: [{bucket: "{{ .bucket }}", key: "{{ .key }}", content_type: application/pdf}]
message:
  patient: {resourceType: Patient, identifier: [{system: "urn:oid:1.2", value: '{{ .key | base | part "_" "1" }}'}], name: [{family: Zebedee}], gender: other, birthDate: "1970-01-01"}
  resource: {resourceType: DocumentReference, status: current, date: "{{ .modified }}"}
`

// bucketOf is an archive in S3: of 200 objects one is empty and one is no PDF.
type bucketOf struct {
	t      *testing.T
	client *s3.Client
	lines  int
}

func (b bucketOf) key(i int) string {
	return fmt.Sprintf("archive/%s/Zebedee-%07d_arch-%d.pdf", []string{"good-health", "other"}[i%2], i, i)
}

func (b bucketOf) empty(i int) bool { return i%200 == 7 }
func (b bucketOf) noPDF(i int) bool { return i%200 == 108 }

// put stores the objects for which want holds, each with the bytes that body gives.
func (b bucketOf) put(want func(i int) bool, body func(i int) []byte) {
	b.t.Helper()
	some, ctx := errgroup.WithContext(b.t.Context())
	some.SetLimit(16)
	for i := range b.lines {
		if !want(i) {
			continue
		}
		some.Go(func() error {
			_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("reports"), Key: aws.String(b.key(i)), Body: bytes.NewReader(body(i))})
			return err
		})
	}
	if err := some.Wait(); err != nil {
		b.t.Fatal(err)
	}
}

// operator runs the program's commands.
type operator struct {
	t   *testing.T
	env []string
}

func (o operator) run(want int, args ...string) string {
	o.t.Helper()
	cmd, said := process(o.t, o.env, args...)
	if got := exitCode(o.t, cmd); got != want {
		o.t.Fatalf("%v: exit code %d\n%s", args, got, said)
	}
	if strings.Contains(said.String(), "Zebedee") {
		o.t.Fatalf("%v: a patient\n%s", args, said)
	}
	return said.String()
}

func (o operator) status(name string) (s status.Status) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(o.run(cli.ExitOK, "backfill", "status", name, "--json")), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// until waits for what the run's status says.
func (o operator) until(what, name string, holds func(status.Status) bool) {
	o.t.Helper()
	devtest.Until(o.t, what, 30*time.Minute, func() bool { return holds(o.status(name)) })
}

// outcomes counts the rows of a report, and holds it to one row per line.
func outcomes(t *testing.T, name string, lines int) map[string]int {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != lines+1 {
		t.Fatalf("%d rows of %d lines, %v", len(rows)-1, lines, err)
	}
	counted, seen := map[string]int{}, map[string]bool{}
	for _, row := range rows[1:] {
		if seen[row[0]] {
			t.Errorf("line %s has two rows", row[0])
		}
		seen[row[0]] = true
		counted[strings.TrimSuffix(row[2]+" "+row[3], " ")]++
	}
	return counted
}

// TestBackfillArchive delivers a bucket by its list: planned, started, paused, its feeder
// killed, gone on with, and what failed run again. The reports add up, and Redox has every
// document once. -archive-lines 100000 makes it an archive.
func TestBackfillArchive(t *testing.T) {
	env, dir := world(t), t.TempDir()
	values := map[string]string{}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		values[name] = value
	}
	o := operator{t, env}
	b := bucketOf{t, s3dev.Client(values["CHARTPOST_S3_ENDPOINT"], s3dev.Options{}), *archiveLines}
	document := samples.Documents()[0].Bytes
	began := time.Now()
	lap := func(what string) { t.Logf("%6.1fs %s", time.Since(began).Seconds(), what) }
	b.put(func(int) bool { return true }, func(i int) []byte {
		switch {
		case b.empty(i):
			return nil
		case b.noPDF(i):
			return []byte("\x7fELF\x02\x01\x01 is no document")
		}
		return document
	})
	lap("the objects are stored")
	faulty := b.lines / 200
	manifest, template := filepath.Join(dir, "list.csv"), filepath.Join(dir, "template.yaml")
	if err := os.WriteFile(template, []byte(listTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, values["CHARTPOST_NATS_URL"], 2*time.Minute)
	from := []string{manifest, "--from", "s3://reports/archive/", "--template", template}
	if said := o.run(cli.ExitUsage, append([]string{"backfill", "plan"}, from...)...); !strings.Contains(said, fmt.Sprintf("file_empty  %d", faulty)) {
		t.Fatal(said)
	}
	lap("the bucket is listed and planned")

	feed := append([]string{"backfill", "run"}, from...)
	feed = append(feed, "--id", "archive", "--skip-faulty", "--feeder-lease", "1s", "--outstanding", fmt.Sprint(b.lines/20))
	worker := func() { // it ends with the test
		process(t, env, "worker", "--redox-source-id", values["SOURCE"], "--budget-requests", "0", "--concurrency", "64", "--lane-concurrency", "64")
	}
	feeder := func() (*exec.Cmd, *devtest.Log) { return process(t, env, feed...) }
	worker()
	first, said := feeder()
	devtest.Until(t, "there is a run", 10*time.Minute, func() bool {
		cmd, _ := process(t, env, "backfill", "status", "archive")
		return exitCode(t, cmd) == cli.ExitOK
	})
	o.until("a tenth has ended", "archive", func(s status.Status) bool { return s.Progress.Ended() > int64(b.lines/10) })
	o.run(cli.ExitOK, "backfill", "pause", "archive")
	o.until("what is in the queue has ended", "archive", func(s status.Status) bool { return s.Progress.InFlight == 0 })
	paused := o.status("archive")
	if lap(fmt.Sprintf("paused: %s", paused.Progress)); paused.Progress.Unfed == 0 {
		t.Error("the run was fed to its end before it was paused")
	}
	o.run(cli.ExitOK, "backfill", "resume", "archive")
	o.until("it goes on", "archive", func(now status.Status) bool { return now.Progress.Unfed < paused.Progress.Unfed })
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exitCode(t, first)
	lap(fmt.Sprintf("the feeder is killed: %s", o.status("archive").Progress))
	if strings.Contains(said.String(), "Zebedee") {
		t.Errorf("a patient\n%s", said)
	}
	ended := fmt.Sprintf("%d of %d done: %d accepted, 0 duplicate, %d failed, 0 unknown, 0 cancelled; 0 in flight, 0 not fed", b.lines, b.lines, b.lines-2*faulty, 2*faulty)
	second, said := feeder()
	if code := exitCode(t, second); code != cli.ExitNotAccepted || !strings.Contains(said.String(), ended) {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	lap("gone on with, to its end")
	o.accounts(manifest, template, dir, b, faulty)
	lap("accounted for")

	// What can be put right is, and what failed is run again.
	b.put(b.noPDF, func(int) []byte { return document })
	report := filepath.Join(dir, "archive.csv")
	again := o.run(cli.ExitNotAccepted, append([]string{"backfill", "run"}, append(from, "--id", "again", "--skip-faulty", "--only-failed", report)...)...)
	if want := fmt.Sprintf("%d of %d done: %d accepted, 0 duplicate, %d failed", 2*faulty, 2*faulty, faulty, faulty); !strings.Contains(again, want) {
		t.Errorf("not %q:\n%s", want, again)
	}
	out := filepath.Join(dir, "again.csv")
	o.run(cli.ExitNotAccepted, "backfill", "report", "again", manifest, "--template", template, "--out", out)
	if got, want := outcomes(t, out, 2*faulty), map[string]int{"accepted": faulty, "failed file_empty": faulty}; !maps.Equal(got, want) && !maps.Equal(got, map[string]int{"accepted": faulty, "failed refused": faulty}) {
		t.Errorf("%v, want %v", got, want)
	}
	delivered(t, values["CHARTPOST_REDOX_API_URL"], b.lines-faulty)
	lap("run again, and Redox has every document once")
}

// accounts holds the reports of the run to what was stored, and finds the reason of a line by
// one command.
func (o operator) accounts(manifest, template, dir string, b bucketOf, faulty int) {
	o.t.Helper()
	out := filepath.Join(dir, "archive.csv")
	o.run(cli.ExitNotAccepted, "backfill", "report", "archive", manifest, "--template", template, "--out", out)
	got := outcomes(o.t, out, b.lines)
	if got["accepted"] != b.lines-2*faulty || len(got) != 3 {
		o.t.Errorf("%v", got)
	}
	var brief struct {
		Summary     backfill.Summary
		Reasons     map[string]int
		NotAccepted []backfill.Row `json:"not_accepted"`
	}
	// The exit code's own line follows the JSON.
	said, _, _ := strings.Cut(o.run(cli.ExitNotAccepted, "backfill", "report", "archive", "--lines", "1000000", "--json"), "\nchartpost:")
	if err := json.Unmarshal([]byte(said), &brief); err != nil {
		o.t.Fatal(err)
	}
	var reason, job string
	for _, row := range brief.NotAccepted {
		if row.JobID != "" {
			reason, job = row.Reason, row.JobID
		}
	}
	if len(brief.NotAccepted) != 2*faulty || brief.Summary.Tally.Ended() != int64(b.lines) || brief.Reasons[reason] != faulty {
		o.t.Errorf("%d lines, %v, %v", len(brief.NotAccepted), brief.Reasons, brief.Summary)
	}
	if said := o.run(cli.ExitOK, "status", job, "--json"); !strings.Contains(said, reason) {
		o.t.Errorf("the status of %s does not say %s:\n%s", job, reason, said)
	}
}

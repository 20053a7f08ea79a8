package faultlab

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack"
)

// TestBackfill kills the feeder of a run and its workers, again and again, and the
// leader of the jobs stream. The report then speaks of every line once, and says of
// each what the simulator and the events say.
func TestBackfill(t *testing.T) {
	onGrounds(t, "backfill", 3, func(t *testing.T, g ground) {
		a := archive{
			load:  load{name: "archive", jobs: jobs(sized(300, 20_000)), destinations: destinations("hospital", 8), largest: sized(2_000, 5_000)},
			crew:  crew{workers: 3, slots: 16, laneSlots: 16, lease: sized(15*time.Second, 5*time.Second), grace: 20 * time.Second, answer: sized(15*time.Second, 5*time.Second)},
			kills: sized(2, 30), leaderKills: leaderKills(sized(1, 2)), missing: 50,
		}
		a.run(t, g)
	})
}

// archive is a run to be delivered. Of one in missing documents the file is not in
// the store.
type archive struct {
	load
	crew                        crew
	kills, leaderKills, missing int
}

func (a archive) run(t *testing.T, g ground) {
	l := newLab(t, g, a.crew)
	l.misbehave()
	f := &feeder{lab: l, manifest: a.store(l), template: filepath.Join(t.TempDir(), "template.yaml")}
	if err := os.WriteFile(f.template, []byte(strings.ReplaceAll(archiveTemplate, "CANARY", l.canary)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.fleet.start()
	harmed, stop := context.WithCancel(t.Context())
	defer stop()
	var hands sync.WaitGroup
	hands.Go(func() { l.killWorkers(harmed, a.kills, 2*time.Second) })
	hands.Go(func() { l.killLeaders(harmed, a.leaderKills, a.jobs) })
	began := time.Now()
	f.feed(harmed, a.kills)
	l.measure("lines a second, with the harm", "%.0f", float64(a.jobs)/time.Since(began).Seconds())
	stop()
	hands.Wait()
	l.drained(t.Context())
	report := f.report()
	l.close(Rules{Term: a.crew.grace + patience})
	l.compare(report, a.jobs)
}

// archiveTemplate is a job with the canary wherever patient data may be.
const archiveTemplate = `
id: "{{ .id }}"
operation: documentreference-create
destination: {slug: "{{ .to }}", environment: Development}
transfer: "{{ .transfer }}"
files: [{bucket: reports, key: "CANARY/{{ .id }}.pdf", title: "CANARY report.pdf", content_type: application/pdf, sha256: "{{ .sha256 }}"}]
message:
  patient:
    resourceType: Patient
    identifier: [{system: "urn:oid:1.2.3", value: "CANARY"}]
    name: [{family: CANARY}]
    gender: female
    birthDate: "1970-01-01"
  resource:
    resourceType: DocumentReference
    status: current
    description: CANARY
    masterIdentifier: {system: "urn:faultlab", value: "{{ .id }}"}
`

// store puts the documents into S3 and gives the name of their manifest.
func (a archive) store(l *lab) (manifest string) {
	l.t.Helper()
	var text bytes.Buffer
	text.WriteString("id,to,transfer,sha256\n")
	numbers := make(chan order)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for o := range numbers {
				_, err := l.s3.PutObject(l.t.Context(), &s3.PutObjectInput{
					Bucket: aws.String(bucketName), Key: aws.String(l.canary + "/" + o.ID + ".pdf"), Body: bytes.NewReader(o.bodies[0]), ContentType: aws.String("application/pdf"),
				})
				if err != nil {
					l.t.Errorf("storing a document: %v", err)
				}
			}
		})
	}
	for n := range a.jobs {
		o := l.order(a.load, n)
		o.Class, o.Files, o.Tries, o.Published = "backfill", o.Files[:1], 1, time.Now()
		fmt.Fprintf(&text, "%s,%s,%s,%s\n", o.ID, o.Destination, o.Transfer, o.Files[0])
		l.books.Jobs = append(l.books.Jobs, o.Job)
		if n%a.missing != a.missing-1 {
			numbers <- o
		}
	}
	close(numbers)
	all.Wait()
	manifest = filepath.Join(l.t.TempDir(), "archive.csv")
	if err := os.WriteFile(manifest, text.Bytes(), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return manifest
}

// feeder is the process that feeds the run, and its successors.
type feeder struct {
	lab                *lab
	manifest, template string
	lives              int
}

// command is one of chartpost's for the run.
func (f *feeder) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binaries.chartpost(f.lab.t), append(append([]string{"backfill"}, args...), f.manifest, "--template", f.template)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.lab.fleet.logs, "TMPDIR=" + os.TempDir(),
		"CHARTPOST_NATS_URL=" + f.lab.queue.url(), "CHARTPOST_PREFIX=" + prefix,
	}
	devstack.DieWithParent(cmd)
	return cmd
}

// exitNotAccepted is the code of a run of which a line was not accepted.
const exitNotAccepted = 3

// feed starts the feeder, again whenever it has ended, until the run has. kills of
// them are killed.
func (f *feeder) feed(ctx context.Context, kills int) {
	t, chance := f.lab.t, f.lab.random(3)
	t.Helper()
	for began := time.Now(); ; {
		f.lives++
		log, err := os.Create(filepath.Join(f.lab.fleet.logs, fmt.Sprintf("feeder-%d.log", f.lives)))
		if err != nil {
			t.Fatal(err)
		}
		cmd := f.command("run", "--id", "archive", "--feeder-lease", "2s", "--outstanding", "2000")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		log.Close()
		ended := make(chan struct{})
		go func() { defer close(ended); _ = cmd.Wait() }()
		if kills > 0 {
			select {
			case <-ended:
			case <-time.After(time.Second + time.Duration(chance.IntN(8000))*time.Millisecond):
				kills--
				_ = cmd.Process.Kill()
				f.lab.harm("feeder kill -9", filepath.Base(log.Name()), 0)
			}
		}
		select {
		case <-ended:
		case <-time.After(10 * patience):
			_ = cmd.Process.Kill()
			t.Fatal("the run does not end")
		}
		switch code := cmd.ProcessState.ExitCode(); {
		case code == exitNotAccepted:
			return
		case code == 0:
			t.Fatal("the run ended as if every line were accepted")
		case code != -1 && time.Since(began) > 10*patience:
			t.Fatalf("the feeder ends with code %d", code)
		case code != -1: // the queue may be away
			pause(ctx, time.Second)
		}
	}
}

// report is the rows of the run's report, by job.
func (f *feeder) report() map[string][]string {
	t := f.lab.t
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.csv")
	said, err := f.command("report", "archive", "--out", out).CombinedOutput()
	f.lab.search("what the report says", said)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitNotAccepted {
		t.Fatalf("the report: %v\n%s", err, said)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f.lab.search("the report", data)
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0][:3], ",") != "line,job_id,outcome" {
		t.Fatalf("the report cannot be read: %v", err)
	}
	byJob := map[string][]string{}
	for i, row := range rows[1:] {
		if row[0] != strconv.Itoa(i+2) {
			t.Errorf("row %d is of line %s", i+1, row[0])
		}
		if byJob[row[1]] != nil {
			t.Errorf("two rows are of job %s", row[1])
		}
		byJob[row[1]] = row
	}
	return byJob
}

// compare holds the report to the books.
func (l *lab) compare(report map[string][]string, lines int) {
	l.t.Helper()
	if len(report) != lines {
		l.t.Errorf("the report has %d lines, want %d", len(report), lines)
	}
	counts, taken := map[string]int{}, 0
	for _, p := range l.books.pages() {
		row := report[p.job.ID]
		if row == nil {
			l.t.Errorf("the report has no row of job %s", p.job.ID)
			continue
		}
		counts[row[2]]++
		if len(p.posts) > 0 {
			taken++
		}
		end := ""
		for _, e := range p.events {
			if e.Final() {
				end = e.Status
			}
		}
		if row[2] != end {
			l.t.Errorf("job %s ended as %s, and the report says %s\n%s", p.job.ID, end, row[2], l.books.Timeline(p.job.ID))
		}
		if repeated := row[6] == "true"; len(p.posts) > 1 && !repeated {
			l.t.Errorf("Redox took job %s %d times, and the report does not say so", p.job.ID, len(p.posts))
		}
	}
	if counts["accepted"] > taken || counts["accepted"]+counts["unknown"] < taken {
		l.t.Errorf("Redox has the documents of %d lines, and the report says %v", taken, counts)
	}
	l.t.Logf("the report: %v; Redox has the documents of %d lines, in %d messages", counts, taken, len(l.books.Posts))
}

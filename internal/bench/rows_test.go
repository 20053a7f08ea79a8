package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

func TestChosenRows(t *testing.T) {
	for _, c := range []struct {
		names string
		want  string
	}{
		{"10MB-16", "10MB-16"},
		{"30MB-64,10MB-16", "30MB-64 10MB-16"},
		{"50kB-50ms*", "50kB-50ms-16 50kB-50ms-64"},
		{"", "50kB-16 50kB-embed-16 50kB-synced-16 10MB-16 30MB-16 30MB-64 30MB-tls-16 50kB-50ms-16 50kB-50ms-64"},
	} {
		rows, err := chosenRows(c.names, 1)
		var names []string
		for _, r := range rows {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != c.want {
			t.Errorf("%q chooses %q, %v", c.names, got, err)
		}
	}
	for _, wrong := range []string{"10MB", "x*", "10MB-16,nothing", "10MB-16,"} {
		if rows, err := chosenRows(wrong, 1); err == nil {
			t.Errorf("%q chooses %v", wrong, rows)
		}
	}
	rows, err := chosenRows("30MB-16", 0.1)
	if err != nil || rows[0].Jobs != 30 || rows[0].Warm != 40 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestLoadLasts: behind the measured jobs there is one for every slot.
func TestLoadLasts(t *testing.T) {
	for _, r := range table {
		if l := r.load(); l.queued < r.Warm+r.Jobs+r.Slots {
			t.Errorf("%s: %d jobs in the queue", r.Name, l.queued)
		}
	}
}

// TestJobsAreJobs: what the bench publishes is what the worker takes, of ids
// and lanes as many as were asked for.
func TestJobsAreJobs(t *testing.T) {
	o := order{start: "job", jobs: 20, lanes: 8, key: "a.pdf", transfer: schemas.Upload}
	ids, destinations := map[string]bool{}, map[string]bool{}
	for n := range o.jobs {
		data, err := json.Marshal(o.job(n))
		if err != nil {
			t.Fatal(err)
		}
		job, err := schemas.DecodeJob(data)
		if err != nil {
			t.Fatal(err)
		}
		ids[job.ID], destinations[job.Destination.Address()] = true, true
	}
	if len(ids) != 20 || len(destinations) != 8 {
		t.Errorf("%d ids, %d destinations", len(ids), len(destinations))
	}
}

func TestSample(t *testing.T) {
	start := time.Now()
	w := watch{
		began: moment{at: start, cpu: time.Second, nats: time.Second},
		ended: moment{at: start.Add(2 * time.Second), cpu: 4 * time.Second, nats: 2 * time.Second},
	}
	got, err := w.sample(500, 4_000_000)
	want := sample{Seconds: 2, JobsPerSecond: 250, MBPerSecond: 1000, CPUPer1000: 6, CPUPerGB: 1.5, NATSPer1000: 2}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMetrics(t *testing.T) {
	const page = "# HELP a b\na 1.5e+06\na{x=\"y\"} 7\nb 2\n"
	if got, err := parseMetrics(page, "b", "a"); err != nil || got[0] != 2 || got[1] != 1.5e6 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseMetrics(page, "c"); err == nil {
		t.Errorf("c is %v", got)
	}
}

func TestReadyAt(t *testing.T) {
	const log = "no JSON\n{\"time\":\"2026-11-20T10:00:00.5Z\",\"msg\":\"other\"}\n{\"time\":\"2026-11-20T10:00:01.25Z\",\"msg\":\"worker ready\"}\n"
	if at, err := readyAt(log); err != nil || at.Nanosecond() != 250_000_000 || at.Second() != 1 {
		t.Errorf("%v, %v", at, err)
	}
	if at, err := readyAt("{}\n"); err == nil {
		t.Errorf("%v", at)
	}
}

package main

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestReport prints figures that are made up.
func TestReport(t *testing.T) {
	run := func(rate, cpu float64) sample {
		return sample{JobsPerSecond: rate, MBPerSecond: rate / 20, CPUPer1000: cpu, CPUPerGB: cpu * 20, PeakRSS: 40 << 20, NATSPer1000: 0.2, MallocsPerJob: 1000, BytesPerJob: 99_000, Consumers: 480}
	}
	r := report{
		About: about{Commit: "0123456", At: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Go: "go1.26", CPU: "abacus", Cores: 2, Replicas: 1},
		Rows: []result{
			{Row: table[0], Worker: []sample{run(1000, 0.6), run(1200, 0.5), run(1100, 0.55)}, Pipes: []piped{{"both", []sample{run(2200, 0.275)}}}},
			{Row: table[1], Worker: []sample{run(1000, 0.6)}},
			{Row: table[3], Worker: []sample{run(170, 3.6)}, Pipes: []piped{{"both", []sample{run(200, 3)}}, {"none", []sample{run(400, 1)}}}},
			{Row: table[5], Worker: []sample{run(169, 3.7)}, Pipes: []piped{{"both", []sample{run(200, 3)}}}},
		},
		Latency: []latency{{Transfer: schemas.Upload, P50: 3, P99: 9.5, Worst: 10, Receiver: 0.1, Each: []float64{3, 10}}},
		Startup: &startup{Log: []float64{90, 100}, Answer: []float64{100, 120}},
		Scale: []scaled{{Name: "one", Runs: []sample{run(1000, 0.5)}}, {Name: "other", Runs: []sample{run(900, 0.55)}},
			{Name: "few drained", Drained: true, Runs: []sample{run(900, 0.5)}}, {Name: "many drained", Drained: true, Runs: []sample{run(500, 0.7)}}},
		Flood: &flooded{Queued: 300_000, Others: []float64{12, 2100}},
		Idle:  &idled{Lanes: 1000, Workers: 10, Served: 2.5, Settled: 0.5},
		Size:  &size{Release: 42_000_000, Stripped: 30_000_000},
	}
	var out bytes.Buffer
	r.print(&out)
	const golden = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestModel(t *testing.T) {
	if got := modelOf("processor\t: 0\nmodel name\t: abacus: 3\nmodel name\t: other\n"); got != "abacus: 3" {
		t.Error(got)
	}
	if got := modelOf(""); got != "unknown" {
		t.Error(got)
	}
}

func TestFill(t *testing.T) {
	got, err := fill("a\n<!-- figures -->\nold\n<!-- end of figures -->\nb\n", "new\n")
	if want := "a\n<!-- figures -->\n\n```text\nnew\n```\n\n<!-- end of figures -->\nb\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, page := range []string{"", "<!-- figures -->\n", "<!-- end of figures -->\n"} {
		if got, err := fill(page, "new\n"); err == nil {
			t.Errorf("%q becomes %q", page, got)
		}
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal goal
		met  bool
	}{
		{goal{Bound: 5, Got: 5}, true},
		{goal{Bound: 5, Got: 5.1}, false},
		{goal{Bound: 5, Got: 4.9, Least: true}, false},
		{goal{Bound: 5, Got: 5.1, Least: true}, true},
		{goal{Bound: 5, Got: median(nil)}, false},
		{goal{Bound: 5, Got: median(nil), Least: true}, false},
	} {
		if c.goal.met() != c.met {
			t.Errorf("%+v: met is %t", c.goal, !c.met)
		}
	}
	if got := (&report{}).goals(); len(got) != 0 {
		t.Errorf("nothing was measured, but %+v", got)
	}
}

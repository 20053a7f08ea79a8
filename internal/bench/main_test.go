package main

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/schemas"
)

func TestMain(m *testing.M) {
	devstack.ServeIfAsked(receiverRole())
	os.Exit(m.Run())
}

// TestEveryPart measures a few jobs in every way, with all programs, so that
// the bench is known to work. What it measures means nothing.
func TestEveryPart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("the bench runs on Linux")
		return
	}
	s, err := newStage(t.Context(), "", false, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	r := &report{}
	for _, one := range []row{
		{Name: "embed", Size: 5 * kB, Slots: 4, Transfer: schemas.Embed, Synced: true, Jobs: 20, Warm: 5},
		{Name: "tls", Size: 2 * mB, Slots: 2, Transfer: schemas.Upload, TLS: true, Jobs: 5, Warm: 2},
	} {
		got, err := s.measureRow(t.Context(), one, options{runs: 1, pipes: "both"})
		if err != nil {
			t.Fatal(err)
		}
		r.Rows = append(r.Rows, got)
		for _, run := range append(got.Worker, runsOf(got.Pipes)...) {
			if run.JobsPerSecond <= 0 || run.PeakRSS < 1<<20 {
				t.Errorf("%s: %+v", one.Name, run)
			}
		}
		if got.Worker[0].MallocsPerJob <= 0 {
			t.Errorf("%s: %+v", one.Name, got.Worker[0])
		}
	}
	if len(r.Rows[0].Pipes) != 0 || len(runsOf(r.Rows[1].Pipes)) != 1 {
		t.Errorf("pipes ran beside the wrong rows: %+v", r.Rows)
	}
	if err := measureFlood(t.Context(), s, options{factor: 0.001}, r); err != nil || len(r.Flood.Others) != floodOthers || r.Flood.Others[0] <= 0 {
		t.Errorf("%+v, %v", r.Flood, err)
	}
	if err := measureLatency(t.Context(), s, options{factor: 0.01}, r); err != nil || r.Latency[0].P50 <= 0 || len(r.Latency[1].Each) != 5 {
		t.Errorf("%+v, %v", r.Latency, err)
	}
	two := load{row: row{Name: "scale", Size: 5 * kB, Slots: 2, Transfer: schemas.Embed, Jobs: 40, Warm: 10}, lanes: 3, workers: 2, queued: 20, refilled: true}
	receiver, _, err := s.redox(t.Context(), row{})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	if got, err := s.try(t.Context(), two, place{receiver: receiver}); err != nil || got.JobsPerSecond <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
	log, answer, err := s.startup(t.Context(), s.anyQueue(t, receiver.URL()))
	if err != nil || log <= 0 || answer <= 0 {
		t.Errorf("ready after %g, %g ms, %v", log, answer, err)
	}
	if err := measureSoak(t.Context(), s, options{soak: 15 * time.Second, settle: time.Second}, r); err != nil {
		t.Error(err)
	} else if k := r.Soak; k.Jobs < 5 || k.quarter(3) < 1 || k.Before.Goroutines < 5 || k.After.Files < 5 {
		t.Errorf("%+v", k)
	}
	var out strings.Builder
	r.print(&out)
	t.Log(out.String())
}

func runsOf(pipes []piped) (runs []sample) {
	for _, p := range pipes {
		runs = append(runs, p.Runs...)
	}
	return runs
}

// anyQueue is a worker of a queue that ends with the test.
func (s *stage) anyQueue(t *testing.T, redox string) workerSettings {
	q, err := s.queue(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.close(); err != nil {
			t.Error(err)
		}
	})
	return workerSettings{name: "worker", nats: q.url(), redox: redox, slots: 1, laneSlots: 1}
}

// TestAStageThatCannotBeSet says why, and leaves nothing behind.
func TestAStageThatCannotBeSet(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := newStage(ctx, "", false, 1); s != nil || err == nil {
		t.Errorf("%v, %v: nothing can be built when the time is over", s, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

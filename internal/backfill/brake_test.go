package backfill_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/job"
)

func TestParseFailureLimit(t *testing.T) {
	for text, want := range map[string]backfill.FailureLimit{
		"none": {}, "50": {Number: 50}, "10%": {Percent: 10}, "100%": {Percent: 100},
	} {
		if got, err := backfill.ParseFailureLimit(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "101%", "0%", "%", "ten", "1.5"} {
		if got, err := backfill.ParseFailureLimit(text); err == nil {
			t.Errorf("%q is taken as %+v", text, got)
		}
	}
}

// state is what is wanted of a run, and by whom.
func (w *world) state(id string) (backfill.State, string) {
	w.t.Helper()
	run, _, err := backfill.LoadRun(w.t.Context(), w.runs, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return run.State, run.By
}

func (w *world) resume(id string) {
	w.t.Helper()
	if _, err := backfill.SetState(w.t.Context(), w.runs, id, backfill.Running, "ann", time.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// TestTooManyFailures: a run whose jobs fail pauses itself, and counts again when an operator
// resumes it.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(2000, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Limits.Outstanding, f.Failures = 100, backfill.FailureLimit{Number: 20}
	g := w.start(f, true)
	failing := func(int) ending { return ending{phase: job.Failed} }
	for range 2 {
		w.until("the run is paused", func() bool {
			h.take("x", 10, failing)
			state, _ := w.state("r")
			return state == backfill.Paused
		})
		if _, by := w.state("r"); !strings.HasPrefix(by, "its feeder: ") || !strings.HasSuffix(by, " jobs failed") {
			t.Errorf("paused by %q", by)
		}
		w.resume("r")
		w.until("the feeder goes on", func() bool { return f.Current().State == backfill.Running })
	}
	g.stop()
	if err := g.end(); err == nil {
		t.Error("the feeder ended without being stopped")
	}
}

// TestPilot: the first jobs are published and no other until an operator says so.
func TestPilot(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(300, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Pilot = 7
	var said []string
	f.Say = func(text string) { said = append(said, text) }
	g := w.start(f, true)
	w.until("the run is paused", func() bool { state, _ := w.state("r"); return state == backfill.Paused })
	if n := w.queued("x"); n != 7 {
		t.Errorf("%d jobs are published, not 7", n)
	}
	h.take("x", 7, func(int) ending { return accepted })
	w.until("their ends are known", func() bool { return g.book.Tally(f.Current()).Ended() == 7 })
	if n := w.queued("x"); n != 0 {
		t.Errorf("%d jobs are published behind the pilot", n)
	}
	w.resume("r")
	h.drain("x", accepted)
	w.until("all jobs are published", func() bool { h.drain("x", accepted); return g.book.Tally(f.Current()).Ended() == 300 })
	if err := g.end(); err != nil {
		t.Error(err)
	}
	h.once("r", l)
	if !strings.Contains(strings.Join(said, "\n"), "chartpost backfill resume r") {
		t.Errorf("nothing says how to go on: %q", said)
	}
}

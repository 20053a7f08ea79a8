package natsq

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// marks are what a FollowRuns has told.
type marks struct {
	mu     sync.Mutex
	told   map[string]bool
	listed int
}

func (m *marks) is(run string, cancelled bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := m.told[run]
	return ok && was == cancelled
}

// followRuns follows until the test ends, and returns once all runs are listed.
func (w *world) followRuns() *marks {
	w.t.Helper()
	m := &marks{told: map[string]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	ended, listed := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(ended)
		w.control().FollowRuns(ctx, func(run string, cancelled bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.told[run] = cancelled
		}, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.listed++; m.listed == 1 {
				listed <- struct{}{}
			}
		})
	}()
	w.t.Cleanup(func() { stop(); <-ended })
	select {
	case <-listed:
	case <-time.After(limit):
		w.t.Fatal("the runs were not listed")
	}
	return m
}

// runIs writes what is wanted of a run.
func (w *world) runIs(run, state string) {
	w.t.Helper()
	w.send(&nats.Msg{Subject: w.control().subject("backfill." + run), Data: fmt.Appendf(nil, `{"id":%q,"state":%q}`, run, state)})
}

// TestFollowRuns: all runs that there are come before the listing's end, then each
// change; the other records of a run are not read.
func TestFollowRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if none := w.followRuns(); len(none.told) != 0 {
		t.Errorf("%v", none.told)
	}
	w.runIs("gone", "running")
	w.runIs("gone", "cancelled")
	w.runIs("on", "paused")
	w.runIs("old", "forgotten")
	w.send(&nats.Msg{Subject: w.control().subject("backfill.broken"), Data: []byte("KANARIENVOGEL")})
	w.runIs("gone.feeder", "cancelled")
	m := w.followRuns()
	if len(m.told) != 4 || !m.is("gone", true) || !m.is("old", true) || !m.is("on", false) || !m.is("broken", false) {
		t.Errorf("%v", m.told)
	}
	if said := w.said.String(); !strings.Contains(said, "cancels nothing") || strings.Contains(said, "KANARIENVOGEL") {
		t.Error(said)
	}
	w.runIs("on", "cancelled")
	w.runIs("new", "cancelled")
	until(t, "the cancels are heard", func() bool { return m.is("on", true) && m.is("new", true) })
	w.send(&nats.Msg{Subject: w.control().subject("backfill.new"), Header: nats.Header{kvOperation: {kvDelete}}})
	until(t, "the removal is heard", func() bool { return m.is("new", false) })
}

// TestFollowRunsOutage: what is decided after a server was away is heard.
func TestFollowRunsOutage(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	w.runIs("a", "running")
	m := w.followRuns()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.runIs("a", "cancelled")
	until(t, "the cancel is heard", func() bool { return m.is("a", true) })
}

// TestAFollowingThatFailsIsTrouble until it works: that the server lets nobody
// make its consumer, or read from it, must not look like a worker with nothing to
// do.
func TestAFollowingThatFailsIsTrouble(t *testing.T) {
	t.Parallel()
	for denied, want := range map[string][]string{
		"$JS.API.CONSUMER.CREATE.>":   {"following the backfill runs", "following the states of the lanes"},
		"$JS.API.CONSUMER.MSG.NEXT.>": {"following the backfill runs"},
	} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			admin, poor, reload := divided(t, denied)
			admin.runIs("gone", "cancelled")
			var following sync.WaitGroup
			ctx, stop := context.WithCancel(context.Background())
			defer following.Wait()
			defer stop()
			following.Go(func() { poor.control().Follow(ctx, func(worker.LaneState) {}) })
			listed := make(chan struct{}, 100)
			following.Go(func() {
				poor.control().FollowRuns(ctx, func(string, bool) {}, func() { listed <- struct{}{} })
			})
			told := func(what string) bool { return strings.Contains(fmt.Sprint(poor.Troubles()), what) }
			for _, what := range want {
				until(t, what+" is told of", func() bool { return told(what) })
			}
			if len(listed) > 0 {
				t.Fatal("the runs were listed")
			}
			reload()
			until(t, "the runs are listed, and nothing is told any more", func() bool { return len(listed) > 0 && !told("following") })
		})
	}
}

func TestLineIn(t *testing.T) {
	for value, want := range map[string]worker.Line{
		"": {}, "a/7/replayed": {Run: "a", Number: 7, Replayed: true}, "a": {}, "a/": {}, "a/0": {}, "a/-1": {}, "/7": {}, "a/7/8": {}, "a.b/7": {}, "a/x": {},
		"a/7": {Run: "a", Number: 7}, "A-9/123456789": {Run: "A-9", Number: 123456789},
	} {
		header := nats.Header{HeaderBackfill: {value}}
		got := lineIn(header)
		if got != want {
			t.Errorf("%q: %+v", value, got)
		}
		again := nats.Header{}
		if setLine(again, got); lineIn(again) != want {
			t.Errorf("%q: written and read again it is %q", value, again)
		}
	}
}

// TestRecall: the jobs of a run that wait for their next attempt are in their lanes
// at once, with all that a schedule brings; those of others go on waiting.
func TestRecall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, later := w.take(patient, 10, calm), time.Now().Add(24*time.Hour)
	for i, run := range []string{"a", "b", "a", ""} {
		line := worker.Line{Run: run, Number: int64(i + 2)}
		if run == "" {
			line = worker.Line{}
		}
		schedule := worker.Schedule{Lane: lane2, JobID: fmt.Sprintf("job-%d", i), Data: fmt.Appendf(nil, "data %d", i), Attempt: i + 3, Line: line, At: later}
		if err := w.Outbox().Later(t.Context(), schedule); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{2, 0} {
		if n, err := w.RunJobs().Recall(t.Context(), "a"); n != want || err != nil {
			t.Errorf("%d jobs were recalled, want %d: %v", n, want, err)
		}
		until(t, "two jobs came back", func() bool { return w.stored(dueJobs, "chartpost.later.*.*") == 2 })
	}
	look(t, in)
	askFor(t, in, lane2, 2, time.Minute)
	for range 2 {
		d := job(t, in)
		i := d.Line().Number - 2
		if d.Line().Run != "a" || i != 0 && i != 2 || string(d.Data()) != fmt.Sprintf("data %d", i) || d.Attempt(schemas.KeyOf(lane2, fmt.Sprintf("job-%d", i))) != int(i)+3 {
			t.Errorf("%+v, %q", d.Line(), d.Data())
		}
		ack(t, d)
	}
	if n := w.stored(jobs, "chartpost.jobs.>"); n != 0 {
		t.Errorf("%d more jobs came back", n)
	}
}

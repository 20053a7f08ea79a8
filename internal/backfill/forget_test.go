package backfill_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
)

// TestForget: a run is forgotten when every line has ended, and no other run can have
// its name: the events of the first would be taken for the other's.
func TestForget(t *testing.T) {
	t.Parallel()
	w, l, ctx := newWorld(t), many(20, "x"), t.Context()
	h := &hand{w: w, taken: map[string]int{}}
	forget := func(id string) error { return backfill.Forget(ctx, w.runs, w.ports.Events, id, "ops", time.Now()) }
	if err := forget("none"); !errors.Is(err, backfill.ErrNoRun) {
		t.Errorf("no run: %v", err)
	}
	f := w.feeder("r", l)
	f.Outstanding = 5
	g := w.start(f, true)
	w.until("jobs are queued, and it knows", func() bool { return g.book.Tally(f.Run).InFlight == 5 })
	if err := forget("r"); !errors.Is(err, backfill.ErrNotEnded) {
		t.Errorf("while it is fed: %v", err)
	}
	g.stop()
	_ = g.end()
	if err := forget("r"); !errors.Is(err, backfill.ErrNotEnded) {
		t.Errorf("with lines that are not fed: %v", err)
	}
	if _, err := backfill.SetState(ctx, w.runs, "r", backfill.Cancelled, "ops", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := forget("r"); !errors.Is(err, backfill.ErrNotEnded) {
		t.Errorf("with jobs in flight: %v", err)
	}
	h.drain("x", accepted)
	if err := forget("r"); err != nil {
		t.Fatal(err)
	}
	if keys, err := w.runs.Keys(ctx, "backfill.>"); !slices.Equal(keys, []string{"backfill.r"}) || err != nil {
		t.Errorf("records are left: %q %v", keys, err)
	}
	if err := forget("r"); !errors.Is(err, backfill.ErrForgotten) {
		t.Errorf("again: %v", err)
	}
	if err := backfill.CreateRun(ctx, w.runs, backfill.Run{ID: "r", State: backfill.Running}); !errors.Is(err, backfill.ErrChanged) {
		t.Errorf("another run of the name: %v", err)
	}
	if _, err := backfill.SetState(ctx, w.runs, "r", backfill.Running, "ops", time.Now()); !errors.Is(err, backfill.ErrForgotten) {
		t.Errorf("resumed: %v", err)
	}
}

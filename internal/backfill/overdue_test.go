package backfill

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/job"
)

// TestOverdue: a line whose time is over is not published, and stays not fed; others
// are; and a run that was cancelled ends as any.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x", "x", "x", "patient", "patient")
		w.after = 3 * time.Minute
		w.begin()
		w.say(job.Waiting)
		time.AfterFunc(5*time.Minute, func() { w.say(job.Failed) })
		var said []string
		f := w.feeder("a")
		f.PerLane, f.Say = 1, func(text string) { said = append(said, text) }
		err := f.Feed(t.Context(), true, noBook)
		if !errors.Is(err, ErrOverdue) || !strings.Contains(err.Error(), "2, the first of them line 2.") || len(said) != 1 {
			t.Errorf("%v; it said %q", err, said)
		}
		if got := w.published(); !slices.Equal(got, []int64{1, 4, 5}) {
			t.Errorf("published %v", got)
		}
		rows, tally, err := w.account()
		if err != nil || tally.Unfed != 2 || rows[1].Reason != "not_fed" {
			t.Errorf("%+v %v %v", rows, tally, err)
		}
		if err := w.feeder("b").Feed(t.Context(), true, noBook); !errors.Is(err, ErrOverdue) {
			t.Errorf("again: %v", err)
		}
		if _, err := SetState(t.Context(), w.bucket, "r", Cancelled, "me", time.Now()); err != nil {
			t.Fatal(err)
		}
		w.run.State = Cancelled
		if err := w.feeder("c").Feed(t.Context(), true, noBook); err != nil {
			t.Errorf("cancelled: %v", err)
		}
		if _, tally, _ := w.account(); tally.Counts[OutcomeCancelled] != 2 || len(w.published()) != 3 {
			t.Errorf("%v, published %v", tally, w.published())
		}
	})
}

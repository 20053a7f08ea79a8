package backfill

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/pipeline"
)

// TestMissedEvents: an end that no event tells of gives its place in the lane back:
// while a line waits for it, and where another lane has room meanwhile.
func TestMissedEvents(t *testing.T) {
	for name, to := range map[string][]string{
		"within a pass":  {"x", "x", "x"},
		"between passes": {"x", "x", "x", "y"},
		"at the end":     {"x"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSmall(t, to...)
				w.say(pipeline.Accepted) // as soon as it is published
				f := w.feeder("a")
				f.PerLane = 1
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				err := f.Feed(ctx, true, noBook)
				if n := len(w.published()); err != nil || n != len(to) {
					t.Errorf("%d of %d lines were fed: %v", n, len(to), err)
				}
				if tally := f.book.Tally(w.run); !tally.Good() {
					t.Error(tally)
				}
				if most := 5 * len(to); w.asked > most {
					t.Errorf("the ledger was asked %d times, want at most %d", w.asked, most)
				}
			})
		})
	}
}

// TestMissedBefore: a feeder that begins asks of what is in flight before it says
// that it has begun.
func TestMissedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x", "x", "x")
		if err := w.feeder("a").Feed(t.Context(), false, noBook); err != nil {
			t.Fatal(err)
		}
		w.say(pipeline.Failed)
		f := w.feeder("b")
		err := f.Feed(t.Context(), false, func(b *Book) {
			if got := b.Tally(w.run).Counts[OutcomeFailed]; got != 3 {
				t.Errorf("%d lines failed, want 3", got)
			}
		})
		if got := w.published(); err != nil || !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("%v, %v", got, err)
		}
		if at, err := LoadCheckpoint(t.Context(), w.bucket, "r"); err != nil || at.Tally.Counts[OutcomeFailed] != 3 {
			t.Errorf("%+v, %v", at, err)
		}
	})
}

package backfill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/job"
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
				w.say(job.Accepted) // as soon as it is published
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
		w.say(job.Failed)
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

// TestLost: a job that is neither in the queue nor in the ledger is lost in the end;
// nothing is sent again, and the run can be forgotten.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x", "x", "x")
		if err := w.feeder("a").Feed(t.Context(), false, noBook); err != nil { // as --no-follow
			t.Fatal(err)
		}
		if _, err := SetState(t.Context(), w.bucket, "r", Cancelled, "me", time.Now()); err != nil {
			t.Fatal(err)
		}
		w.run.State = Cancelled
		forget := func() error {
			return Forget(t.Context(), gone{w.bucket}, over{w.fakes}, "r", "me", time.Now())
		}
		if err := forget(); !errors.Is(err, ErrNotEnded) {
			t.Errorf("forgotten with jobs in flight: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		said := ""
		f := w.feeder("b")
		f.Say = func(text string) { said += text }
		began := time.Now()
		if err := f.Feed(ctx, true, noBook); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < lostEvery {
			t.Errorf("they were given up after %s", took)
		}
		if n := len(w.published()); n != 3 {
			t.Errorf("%d jobs were published, want 3", n)
		}
		if !strings.HasPrefix(said, "3 jobs are neither in the queue nor in the ledger") {
			t.Errorf("it said %q", said)
		}
		rows, tally, err := w.account()
		if err != nil || len(rows) != 3 || tally.Counts[OutcomeUnknown] != 3 || tally.Ended() != 3 || rows[0].Reason != "lost" {
			t.Errorf("%+v %v %v", rows, tally, err)
		}
		w.say(job.Accepted) // the ledger was restored
		if _, tally, _ := w.account(); !tally.Good() {
			t.Error(tally)
		}
		if err := forget(); err != nil {
			t.Error(err)
		}
	})
}

// gone is a shelf that removes nothing.
type gone struct{ *shelf }

func (gone) Keys(context.Context, string) ([]string, error) { return nil, nil }
func (gone) Remove(context.Context, string) error           { return nil }

// TestNotLost: what is in the queue, or in the ledger, or was not found once, is in
// flight.
func TestNotLost(t *testing.T) {
	for name, set := range map[string]func(w *small){
		"in the queue": func(w *small) { w.queued = map[int64]bool{1: true} },
		"waits":        func(w *small) { w.say(job.Waiting) },
		"taken while the queue is looked through": func(w *small) {
			w.onSearch = func(int) { w.phase = job.Working }
		},
		"not found every other time": func(w *small) {
			w.onSearch = func(times int) { w.queued = map[int64]bool{1: times%2 == 0} }
			w.onSearch(0)
		},
		"a replica of the ledger lags behind": func(w *small) { w.phase, w.lags = job.Sending, true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSmall(t, "x")
				if err := w.feeder("a").Feed(t.Context(), false, noBook); err != nil {
					t.Fatal(err)
				}
				set(w)
				f := w.handed(t.Context(), "b", w.bucket)
				s := &search{Feeder: f}
				for range 5 {
					if err := s.look(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(lostEvery)
				}
				if got := f.book.Line(1); got != Fed || w.searched != 5 {
					t.Errorf("state %d after %d searches", got, w.searched)
				}
			})
		})
	}
}

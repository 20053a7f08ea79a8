package backfill

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// TestReplayedAfterTheFeeder: a job that failed was run again while no feeder was
// there, and the event of that is gone: the ledger's last word counts, for the
// outcome as for the receipt.
func TestReplayedAfterTheFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x", "x")
		w.say(job.Failed)
		if err := w.feeder("a").Feed(t.Context(), true, noBook); err != nil {
			t.Fatal(err)
		}
		for phase, want := range map[job.Phase]Outcome{
			job.Accepted: OutcomeAccepted, job.Held: OutcomeUnknown, job.Failed: OutcomeFailed, job.Working: OutcomeFailed, "": OutcomeFailed,
		} {
			w.say(phase)
			rows, tally, err := w.account()
			if err != nil || rows[0].Outcome != want || tally.Counts[want] != 2 {
				t.Errorf("%q: %+v %v %v, want %s", phase, rows[0], tally, err, want)
			}
		}
	})
}

// TestCaughtUp: the same command again writes into the book what events tell.
func TestCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x")
		w.say(job.Failed)
		if err := w.feeder("a").Feed(t.Context(), true, noBook); err != nil {
			t.Fatal(err)
		}
		w.told = []schemas.Event{eventOf(1, schemas.StatusAccepted)}
		if err := w.feeder("b").Feed(t.Context(), true, noBook); err != nil {
			t.Fatal(err)
		}
		w.told, w.phase = nil, "" // events and ledger forget
		if rows, _, err := w.account(); err != nil || rows[0].Outcome != OutcomeAccepted {
			t.Errorf("%+v %v", rows, err)
		}
	})
}

// TestReportBeforeTheFeeder: before a feeder has written anything, no line of a whole
// manifest is fed, and of a choice of lines nothing is known.
func TestReportBeforeTheFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSmall(t, "x", "x", "x")
		if rows, tally, err := w.account(); err != nil || tally.Unfed != 3 || len(rows) != 3 {
			t.Errorf("%v %v", tally, err)
		}
		w.only = NewOnly()
		w.only.Add(2, "j-2")
		w.begin()
		if _, _, err := w.account(); !errors.Is(err, ErrNotBegun) {
			t.Error(err)
		}
		if err := w.feeder("a").Feed(t.Context(), false, noBook); err != nil {
			t.Fatal(err)
		}
		if rows, tally, err := w.account(); err != nil || len(rows) != 1 || rows[0].Line != 2 || tally.InFlight != 1 {
			t.Errorf("%+v %v %v", rows, tally, err)
		}
	})
}

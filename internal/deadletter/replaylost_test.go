package deadletter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestReplayForgotten: what the ledger has forgotten may have been accepted since,
// by a later run or by hand. It begins with a later attempt, its record says that it
// may be there twice, and the outcome tells, also that of a dry run.
func TestReplayForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, status := range []schemas.Status{schemas.StatusFailed, schemas.StatusUnknown} {
		id := string(status)
		w.bury(id, jobText(id, "1"), status)
		letter, terms := w.letterOf(id), Terms{Unknown: true}
		if outcome, err := w.desk("ann").Replay(t.Context(), letter, Terms{Unknown: true, DryRun: true}); err != nil || outcome != ResentForgotten {
			t.Error(outcome, err)
		}
		w.want("a dry run", i, 0, 1)
		if outcome, err := w.desk("ann").Replay(t.Context(), letter, terms); err != nil || outcome != ResentForgotten {
			t.Fatal(outcome, err)
		}
		if r := w.found(id); r.Phase != job.Phase(status) || r.Attempt != 4 || !r.PossibleDuplicate {
			t.Errorf("%+v", r)
		}
		w.want("forgotten", i+1, 0, 0)
	}
}

// TestReplayUnderWay: a letter of a job that is under way by its record goes only
// while the queue holds a copy of the job; where the queue lost it, the letter is
// the last one, and is published, once.
func TestReplayUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, phase := range []job.Phase{job.Working, job.Sending, job.Waiting} {
		lost := string(phase) + "-lost"
		w.bury(lost, jobText(lost, "1"), schemas.StatusFailed)
		w.record(lost, jobText(lost, "1"), phase)
		letter := w.letterOf(lost)
		if outcome, err := w.desk("ann").Replay(t.Context(), letter, Terms{DryRun: true}); err != nil || outcome != Resent {
			t.Error(lost, outcome, err)
		}
		late := w.desk("ann")
		late.Now = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
		if _, err := late.Replay(t.Context(), letter, Terms{}); !errors.Is(err, errExpired) {
			t.Error(lost, err)
		}
		// It was published from this letter, and the queue was emptied after that.
		if err := w.queue.Outbox().Resubmit(t.Context(), lane, letter.ReplayID, worker.Line{}, jobText(lost, "1")); err != nil {
			t.Fatal(err)
		}
		w.emptyQueue()
		for n := range 40 { // whatever step it dies at
			c := &cut{Service: w.desk("ann"), n: n + 1, after: n%2 == 0}
			broken := &Service{Letters: c, Publisher: c, Ledger: c, Prefix: "chartpost", By: "operator ann", Now: time.Now}
			outcome, err := broken.Replay(t.Context(), letter, Terms{})
			if jobs, left := len(w.jobs()), len(w.letters()); jobs+left == 0 {
				t.Fatalf("%s: the job is lost at step %d", lost, n)
			}
			if err == nil {
				if outcome != Resent && outcome != Gone { // it died behind the last step
					t.Error(lost, outcome)
				}
				break
			}
			if !errors.Is(err, errCut) {
				t.Fatal(lost, err)
			}
		}
		w.want(lost, 1, 0, 0)

		there := string(phase) + "-there"
		w.bury(there, jobText(there, "1"), schemas.StatusFailed)
		w.schedule(there, jobText(there, "1"))
		w.record(there, jobText(there, "1"), phase)
		if outcome, err := w.desk("ann").Replay(t.Context(), w.letterOf(there), Terms{}); err != nil || outcome != UnderWay {
			t.Error(there, outcome, err)
		}
		w.want(there, 2, 0, 0)
	}
}

// TestReplayOvertaken: what a worker ends while its copy is looked for is not lost.
func TestReplayOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bury("a", jobText("a", "1"), schemas.StatusFailed)
	w.record("a", jobText("a", "1"), job.Sending)
	desk := w.desk("ann")
	desk.Publisher = ending{Publisher: desk.Publisher, end: func() {
		page, _, err := w.ledger.Open(t.Context(), jobKey("a"), job.Record{})
		if err != nil {
			t.Fatal(err)
		}
		record := page.Record()
		record.Phase, record.UpdatedAt = job.Accepted, time.Now().UTC()
		if err := page.Save(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := desk.Replay(t.Context(), w.letterOf("a"), Terms{}); !errors.Is(err, errRace) {
		t.Error(err)
	}
	w.want("overtaken", 0, 0, 1)
}

// ending is a publisher beside which a worker ends the job.
type ending struct {
	Publisher
	end func()
}

func (e ending) Holds(ctx context.Context, sequence uint64, stored time.Time, job schemas.JobKey) (bool, error) {
	e.end()
	return e.Publisher.Holds(ctx, sequence, stored, job)
}

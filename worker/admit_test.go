package worker

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
)

func TestAdmit(t *testing.T) {
	const recorded = 100
	same, older, newer := copyOf{sequence: 100}, copyOf{sequence: 50}, copyOf{sequence: 150}
	scheduled := func(attempt int) copyOf { return copyOf{sequence: 150, attempt: attempt} }
	for _, c := range []struct {
		name  string
		phase job.Phase
		copy  copyOf
		held  held
		want  admission
	}{
		// The recorded copy, delivered again.
		{"crash while working", job.Working, same, heldUnasked, resume},
		{"crash while sending", job.Sending, same, heldUnasked, doubt},
		{"crash before the schedule", job.Waiting, same, heldUnasked, settled},
		{"crash after acceptance", job.Accepted, same, heldUnasked, settled},
		{"crash after failure", job.Failed, same, heldUnasked, settled},
		{"crash after giving up", job.Held, same, heldUnasked, settled},

		// A copy that a schedule brought; the record is at attempt 2.
		{"the next attempt", job.Waiting, scheduled(3), heldUnasked, next},
		{"an attempt that was made", job.Waiting, scheduled(2), heldUnasked, ask},
		{"an attempt that was made, the next is scheduled", job.Waiting, scheduled(2), heldYes, stale},
		{"an attempt that was made, the next schedule is lost", job.Waiting, scheduled(2), heldNo, next},
		{"an attempt that is being made", job.Working, scheduled(2), heldUnasked, ask},
		{"an attempt that another copy makes", job.Working, scheduled(2), heldYes, stale},
		{"an attempt whose other copy was lost", job.Working, scheduled(2), heldNo, resume},
		{"an attempt whose other copy was lost while sending", job.Sending, scheduled(2), heldNo, doubt},
		{"an attempt that was made, after the end", job.Failed, scheduled(2), heldUnasked, stale},
		{"an attempt after the end", job.Accepted, scheduled(3), heldUnasked, stale},
		{"an attempt nobody waits for", job.Working, scheduled(3), heldUnasked, ask},
		{"an attempt while another copy lives", job.Working, scheduled(3), heldYes, stale},
		{"an attempt after the other copy was lost", job.Working, scheduled(3), heldNo, next},
		{"an attempt after a copy was lost while sending", job.Sending, scheduled(3), heldNo, doubt},

		// A second publish of the same id.
		{"published again after acceptance", job.Accepted, newer, heldUnasked, duplicate},
		{"published again after failure", job.Failed, newer, heldUnasked, again},
		{"published again after unknown", job.Held, newer, heldUnasked, again},
		{"published again after cancellation", job.Cancelled, newer, heldUnasked, again},
		{"published again meanwhile", job.Working, newer, heldUnasked, ask},
		{"published again while it is worked on", job.Working, newer, heldYes, concurrent},
		{"published again while it waits", job.Waiting, newer, heldYes, concurrent},
		{"published again, the first copy is lost", job.Working, newer, heldNo, resume},
		{"published again, the schedule is lost", job.Waiting, newer, heldNo, next},
		{"an old copy, the schedule is lost", job.Waiting, older, heldNo, next},
		{"published again, lost while sending", job.Sending, newer, heldNo, doubt},

		// An old copy that came back from the queue's past.
		{"an old copy after acceptance", job.Accepted, older, heldUnasked, stale},
		{"an old copy after failure", job.Failed, older, heldUnasked, stale},
		{"an old copy meanwhile", job.Working, older, heldYes, stale},
		{"an old copy, the newer is lost", job.Working, older, heldNo, resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := job.Record{Phase: c.phase, Attempt: 2, Sequence: recorded}
			if got := admit(r, c.copy, c.held); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAdmitInAStreamMadeAnew: sequences begin again, and what was published
// since is no old copy, whatever its number.
func TestAdmitInAStreamMadeAnew(t *testing.T) {
	before := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		phase    job.Phase
		sequence uint64
		held     held
		want     admission
	}{
		{job.Failed, 2, heldUnasked, again},
		{job.Failed, 100, heldUnasked, again},
		{job.Accepted, 2, heldUnasked, duplicate},
		{job.Accepted, 100, heldUnasked, duplicate},
		{job.Working, 2, heldNo, resume},
		{job.Waiting, 100, heldUnasked, ask},
		{job.Waiting, 100, heldNo, next},
		{job.Sending, 100, heldNo, doubt},
		{job.Working, 2, heldYes, concurrent},
	} {
		r := job.Record{Phase: c.phase, Attempt: 2, Sequence: 100, Stored: before}
		if got := admit(r, copyOf{sequence: c.sequence, stored: before.Add(time.Hour)}, c.held); got != c.want {
			t.Errorf("%s, sequence %d: %s, want %s", c.phase, c.sequence, got, c.want)
		}
	}
}

// TestAdmitNeverDropsTheOnlyCopy: over every state, a copy is dropped without a
// word only if another one is known to carry the job on, or the job has ended.
func TestAdmitNeverDropsTheOnlyCopy(t *testing.T) {
	phases := []job.Phase{job.Working, job.Sending, job.Waiting, job.Accepted, job.Failed, job.Held, job.Cancelled}
	for _, phase := range phases {
		for _, sequence := range []uint64{50, 100, 150} {
			for attempt := range 5 {
				r := job.Record{Phase: phase, Attempt: 2, Sequence: 100}
				c := copyOf{sequence: sequence, attempt: attempt}
				got := admit(r, c, heldNo)
				if got == stale && !phase.Final() {
					t.Errorf("%s, copy %+v: dropped although nothing else carries the job on", phase, c)
				}
				if got == ask {
					t.Errorf("%s, copy %+v: asks again although the answer is known", phase, c)
				}
				if phase == job.Accepted && got != settled && got != stale && got != duplicate {
					t.Errorf("accepted, copy %+v: %s could send it again", c, got)
				}
				if phase == job.Sending && (got == resume || got == next) {
					t.Errorf("sending, copy %+v: %s sends again without a word", c, got)
				}
			}
		}
	}
}

package worker

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/pipeline"
)

func TestAdmit(t *testing.T) {
	const recorded = 100
	same, older, newer := copyOf{sequence: 100}, copyOf{sequence: 50}, copyOf{sequence: 150}
	scheduled := func(attempt int) copyOf { return copyOf{sequence: 150, attempt: attempt} }
	for _, c := range []struct {
		name  string
		phase pipeline.Phase
		copy  copyOf
		held  held
		want  admission
	}{
		// The recorded copy, delivered again.
		{"crash while working", pipeline.Working, same, heldUnasked, resume},
		{"crash while sending", pipeline.Sending, same, heldUnasked, doubt},
		{"crash before the schedule", pipeline.Waiting, same, heldUnasked, settled},
		{"crash after acceptance", pipeline.Accepted, same, heldUnasked, settled},
		{"crash after failure", pipeline.Failed, same, heldUnasked, settled},
		{"crash after giving up", pipeline.Held, same, heldUnasked, settled},

		// A copy that a schedule brought; the record is at attempt 2.
		{"the next attempt", pipeline.Waiting, scheduled(3), heldUnasked, next},
		{"an attempt that was made", pipeline.Waiting, scheduled(2), heldUnasked, ask},
		{"an attempt that was made, the next is scheduled", pipeline.Waiting, scheduled(2), heldYes, stale},
		{"an attempt that was made, the next schedule is lost", pipeline.Waiting, scheduled(2), heldNo, next},
		{"an attempt that is being made", pipeline.Working, scheduled(2), heldUnasked, ask},
		{"an attempt that another copy makes", pipeline.Working, scheduled(2), heldYes, stale},
		{"an attempt whose other copy was lost", pipeline.Working, scheduled(2), heldNo, resume},
		{"an attempt whose other copy was lost while sending", pipeline.Sending, scheduled(2), heldNo, doubt},
		{"an attempt that was made, after the end", pipeline.Failed, scheduled(2), heldUnasked, stale},
		{"an attempt after the end", pipeline.Accepted, scheduled(3), heldUnasked, stale},
		{"an attempt nobody waits for", pipeline.Working, scheduled(3), heldUnasked, ask},
		{"an attempt while another copy lives", pipeline.Working, scheduled(3), heldYes, stale},
		{"an attempt after the other copy was lost", pipeline.Working, scheduled(3), heldNo, next},
		{"an attempt after a copy was lost while sending", pipeline.Sending, scheduled(3), heldNo, doubt},

		// A second publish of the same id.
		{"published again after acceptance", pipeline.Accepted, newer, heldUnasked, duplicate},
		{"published again after failure", pipeline.Failed, newer, heldUnasked, again},
		{"published again after unknown", pipeline.Held, newer, heldUnasked, again},
		{"published again after cancellation", pipeline.Cancelled, newer, heldUnasked, again},
		{"published again meanwhile", pipeline.Working, newer, heldUnasked, ask},
		{"published again while it is worked on", pipeline.Working, newer, heldYes, concurrent},
		{"published again while it waits", pipeline.Waiting, newer, heldYes, concurrent},
		{"published again, the first copy is lost", pipeline.Working, newer, heldNo, resume},
		{"published again, the schedule is lost", pipeline.Waiting, newer, heldNo, next},
		{"an old copy, the schedule is lost", pipeline.Waiting, older, heldNo, next},
		{"published again, lost while sending", pipeline.Sending, newer, heldNo, doubt},

		// An old copy that came back from the queue's past.
		{"an old copy after acceptance", pipeline.Accepted, older, heldUnasked, stale},
		{"an old copy after failure", pipeline.Failed, older, heldUnasked, stale},
		{"an old copy meanwhile", pipeline.Working, older, heldYes, stale},
		{"an old copy, the newer is lost", pipeline.Working, older, heldNo, resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := pipeline.Record{Phase: c.phase, Attempt: 2, Sequence: recorded}
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
		phase    pipeline.Phase
		sequence uint64
		held     held
		want     admission
	}{
		{pipeline.Failed, 2, heldUnasked, again},
		{pipeline.Failed, 100, heldUnasked, again},
		{pipeline.Accepted, 2, heldUnasked, duplicate},
		{pipeline.Accepted, 100, heldUnasked, duplicate},
		{pipeline.Working, 2, heldNo, resume},
		{pipeline.Waiting, 100, heldUnasked, ask},
		{pipeline.Waiting, 100, heldNo, next},
		{pipeline.Sending, 100, heldNo, doubt},
		{pipeline.Working, 2, heldYes, concurrent},
	} {
		r := pipeline.Record{Phase: c.phase, Attempt: 2, Sequence: 100, Stored: before}
		if got := admit(r, copyOf{sequence: c.sequence, stored: before.Add(time.Hour)}, c.held); got != c.want {
			t.Errorf("%s, sequence %d: %s, want %s", c.phase, c.sequence, got, c.want)
		}
	}
}

// TestAdmitNeverDropsTheOnlyCopy: over every state, a copy is dropped without a
// word only if another one is known to carry the job on, or the job has ended.
func TestAdmitNeverDropsTheOnlyCopy(t *testing.T) {
	phases := []pipeline.Phase{pipeline.Working, pipeline.Sending, pipeline.Waiting, pipeline.Accepted, pipeline.Failed, pipeline.Held, pipeline.Cancelled}
	for _, phase := range phases {
		for _, sequence := range []uint64{50, 100, 150} {
			for attempt := range 5 {
				r := pipeline.Record{Phase: phase, Attempt: 2, Sequence: 100}
				c := copyOf{sequence: sequence, attempt: attempt}
				got := admit(r, c, heldNo)
				if got == stale && !phase.Final() {
					t.Errorf("%s, copy %+v: dropped although nothing else carries the job on", phase, c)
				}
				if got == ask {
					t.Errorf("%s, copy %+v: asks again although the answer is known", phase, c)
				}
				if phase == pipeline.Accepted && got != settled && got != stale && got != duplicate {
					t.Errorf("accepted, copy %+v: %s could send it again", c, got)
				}
				if phase == pipeline.Sending && (got == resume || got == next) {
					t.Errorf("sending, copy %+v: %s sends again without a word", c, got)
				}
			}
		}
	}
}

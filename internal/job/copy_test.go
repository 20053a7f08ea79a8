package job

import (
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	const recorded = 100
	same, older, newer := Copy{Sequence: 100}, Copy{Sequence: 50}, Copy{Sequence: 150}
	scheduled := func(attempt int) Copy { return Copy{Sequence: 150, Attempt: attempt} }
	for _, c := range []struct {
		name   string
		phase  Phase
		copy   Copy
		lookup Lookup
		want   CopyKind
	}{
		// The recorded copy, delivered again.
		{"crash while working", Working, same, NotAsked, Resume},
		{"crash while sending", Sending, same, NotAsked, InDoubt},
		{"crash before the schedule", Waiting, same, NotAsked, Replay},
		{"crash after acceptance", Accepted, same, NotAsked, Replay},
		{"crash after failure", Failed, same, NotAsked, Replay},
		{"crash after giving up", Held, same, NotAsked, Replay},

		// A copy that a schedule brought; the record is at attempt 2.
		{"the next attempt", Waiting, scheduled(3), NotAsked, Next},
		{"an attempt that was made", Waiting, scheduled(2), NotAsked, NeedsLookup},
		{"an attempt that was made, the next is scheduled", Waiting, scheduled(2), Present, Stale},
		{"an attempt that was made, the next schedule is lost", Waiting, scheduled(2), Gone, Next},
		{"an attempt that is being made", Working, scheduled(2), NotAsked, NeedsLookup},
		{"an attempt that another copy makes", Working, scheduled(2), Present, Stale},
		{"an attempt whose other copy was lost", Working, scheduled(2), Gone, Resume},
		{"an attempt whose other copy was lost while sending", Sending, scheduled(2), Gone, InDoubt},
		{"an attempt that was made, after the end", Failed, scheduled(2), NotAsked, Stale},
		{"an attempt after the end", Accepted, scheduled(3), NotAsked, Stale},
		{"an attempt nobody waits for", Working, scheduled(3), NotAsked, NeedsLookup},
		{"an attempt while another copy lives", Working, scheduled(3), Present, Stale},
		{"an attempt after the other copy was lost", Working, scheduled(3), Gone, Next},
		{"an attempt after a copy was lost while sending", Sending, scheduled(3), Gone, InDoubt},

		// A second publish of the same id.
		{"published again after acceptance", Accepted, newer, NotAsked, Duplicate},
		{"published again after failure", Failed, newer, NotAsked, Restart},
		{"published again after unknown", Held, newer, NotAsked, Restart},
		{"published again after cancellation", Cancelled, newer, NotAsked, Restart},
		{"published again meanwhile", Working, newer, NotAsked, NeedsLookup},
		{"published again while it is worked on", Working, newer, Present, Concurrent},
		{"published again while it waits", Waiting, newer, Present, Concurrent},
		{"published again, the first copy is lost", Working, newer, Gone, Resume},
		{"published again, the schedule is lost", Waiting, newer, Gone, Next},
		{"an old copy, the schedule is lost", Waiting, older, Gone, Next},
		{"published again, lost while sending", Sending, newer, Gone, InDoubt},

		// An old copy that came back from the queue's past.
		{"an old copy after acceptance", Accepted, older, NotAsked, Stale},
		{"an old copy after failure", Failed, older, NotAsked, Stale},
		{"an old copy meanwhile", Working, older, Present, Stale},
		{"an old copy, the newer is lost", Working, older, Gone, Resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Record{Phase: c.phase, Attempt: 2, Sequence: recorded}
			if got := Classify(r, c.copy, c.lookup); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestClassifyInAStreamMadeAgain: sequences begin again, and what was published
// since is no old copy, whatever its number.
func TestClassifyInAStreamMadeAgain(t *testing.T) {
	before := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		phase    Phase
		sequence uint64
		lookup   Lookup
		want     CopyKind
	}{
		{Failed, 2, NotAsked, Restart},
		{Failed, 100, NotAsked, Restart},
		{Accepted, 2, NotAsked, Duplicate},
		{Accepted, 100, NotAsked, Duplicate},
		{Working, 2, Gone, Resume},
		{Waiting, 100, NotAsked, NeedsLookup},
		{Waiting, 100, Gone, Next},
		{Sending, 100, Gone, InDoubt},
		{Working, 2, Present, Concurrent},
	} {
		r := Record{Phase: c.phase, Attempt: 2, Sequence: 100, Stored: before}
		if got := Classify(r, Copy{Sequence: c.sequence, Stored: before.Add(time.Hour)}, c.lookup); got != c.want {
			t.Errorf("%s, sequence %d: %s, want %s", c.phase, c.sequence, got, c.want)
		}
	}
}

// TestTheOnlyCopyIsNeverDropped: over every state, a copy is dropped without a
// word only if another one is known to carry the job on, or the job has ended.
func TestTheOnlyCopyIsNeverDropped(t *testing.T) {
	phases := []Phase{Working, Sending, Waiting, Accepted, Failed, Held, Cancelled}
	for _, phase := range phases {
		for _, sequence := range []uint64{50, 100, 150} {
			for attempt := range 5 {
				r := Record{Phase: phase, Attempt: 2, Sequence: 100}
				c := Copy{Sequence: sequence, Attempt: attempt}
				got := Classify(r, c, Gone)
				if got == Stale && !phase.Final() {
					t.Errorf("%s, copy %+v: dropped although nothing else carries the job on", phase, c)
				}
				if got == NeedsLookup {
					t.Errorf("%s, copy %+v: asks again although the answer is known", phase, c)
				}
				if phase == Accepted && got != Replay && got != Stale && got != Duplicate {
					t.Errorf("accepted, copy %+v: %s could send it again", c, got)
				}
				if phase == Sending && (got == Resume || got == Next) {
					t.Errorf("sending, copy %+v: %s sends again without a word", c, got)
				}
			}
		}
	}
}

// TestOtherContentIsNeverDropped: over every record and copy, one of other content goes
// on itself, or is kept and told of. It is no repeat of the recorded job.
func TestOtherContentIsNeverDropped(t *testing.T) {
	for _, phase := range []Phase{Working, Sending, Waiting, Accepted, Failed, Held, Cancelled} {
		for _, sequence := range []uint64{50, 150} {
			for attempt := range 5 {
				for _, lookup := range []Lookup{NotAsked, Present, Gone} {
					r := Record{Phase: phase, Attempt: 2, Sequence: 100, Digest: "a"}
					c := Copy{Sequence: sequence, Attempt: attempt, Digest: "b"}
					switch got := Classify(r, c, lookup); got {
					case Reused, NeedsLookup:
					case InDoubt:
						if r.Adopt(c); r.Digest != "b" || r.Attempt != 2 {
							t.Errorf("%s, copy %+v: adopted as %+v", phase, c, r)
						}
					case Next, Restart:
						if r.Claim(got, c); r.Digest != "b" || r.Attempt != 3 {
							t.Errorf("%s, copy %+v: claimed as %+v", phase, c, r)
						}
					default:
						t.Errorf("%s, copy %+v: %s", phase, c, got)
					}
				}
			}
		}
	}
}

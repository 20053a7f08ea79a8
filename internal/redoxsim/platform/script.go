package platform

import "time"

// The words for a log's status that Redox documents.
const (
	Pending   = "pending"
	Succeeded = "succeeded"
	Failed    = "failed"
	Filtered  = "filtered"
)

// The data modes of a log. A search without one sees Realtime alone.
const (
	Realtime = "realtime"
	Backfill = "backfill"
)

// Script is what becomes of the messages for one destination.
type Script struct {
	// Steps are in the order of After. The zero Script is that of Succeeds(1).
	Steps []Step
	// Visible is how long after it a step can be seen.
	Visible time.Duration
	// Mode is Realtime or Backfill; empty is Realtime.
	Mode string
	// Unrouted logs name no data model, event type, source and destination, as those
	// of messages that failed early.
	Unrouted bool
	// Missing messages get no log at all.
	Missing bool
}

// Step is a status that a log takes.
type Step struct {
	// After is since the message came.
	After  time.Duration
	Status string
	// Attempts is how many there were by then.
	Attempts int
}

// Succeeds delivers at attempt k, a millisecond after each other.
func Succeeds(k int) Script {
	var s Script
	for i := 1; i < k; i++ {
		s.Steps = append(s.Steps, Step{time.Duration(i-1) * time.Millisecond, Pending, i})
	}
	s.Steps = append(s.Steps, Step{time.Duration(k-1) * time.Millisecond, Succeeded, k})
	return s
}

// Stays has one status for ever, which may be an unknown word.
func Stays(status string) Script { return Script{Steps: []Step{{0, status, 1}}} }

// RetriedByHand fails, and is delivered when a person has retried it.
func RetriedByHand(after time.Duration) Script {
	return Script{Steps: []Step{{0, Failed, 1}, {after, Succeeded, 2}}}
}

// PendsFor is pending at first, and then has another status.
func PendsFor(wait time.Duration, then string) Script {
	return Script{Steps: []Step{{0, Pending, 1}, {wait, then, 1}}}
}

// at is the last step that can be seen at a time since the message came.
func (s Script) at(since time.Duration) (step Step, seen bool) {
	for _, next := range s.Steps {
		if next.After+s.Visible <= since {
			step, seen = next, true
		}
	}
	return step, seen
}

func (s Script) complete() Script {
	if len(s.Steps) == 0 {
		s.Steps = Succeeds(1).Steps
	}
	if s.Mode == "" {
		s.Mode = Realtime
	}
	return s
}

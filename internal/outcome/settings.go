package outcome

import "time"

// Settings are the follower's. Zero times take the default.
type Settings struct {
	// Prefix is the deployment's.
	Prefix string
	// SourceID narrows searches to one Redox source; empty searches the whole
	// environment.
	SourceID string
	// Ours: the operator declares that only this deployment sends from SourceID.
	// Only then are logs counted.
	Ours bool
	// Destinations are the ids in logs by slug.
	Destinations map[string]string
	// Resend: a held job that Redox's logs do not show is sent again.
	Resend bool
	Times  Times
}

// Times are how long things take.
type Times struct {
	// Tick is how often events are read (2 s).
	Tick time.Duration
	// Exceptions is how often failed and filtered messages are searched (30 s), Full
	// how often all that changed (1 min).
	Exceptions, Full time.Duration
	// Overlap is by how much a sweep goes back behind the one before it (2 min): Redox
	// states no time after which a log can be found.
	Overlap time.Duration
	// Slice is the longest time that one sweep covers (5 min).
	Slice time.Duration
	// Look is after how long a message that no sweep has shown is looked up by its log
	// id (10 min); the wait doubles up to LookLongest (6 h).
	Look, LookLongest time.Duration
	// Stalled is when a pending message is told of (15 min), Unconfirmed when one of
	// which nothing is found (72 h).
	Stalled, Unconfirmed time.Duration
	// Reopen is how long a message that failed is followed further: a person may retry
	// it at Redox (7 days).
	Reopen time.Duration
	// Before and After are how much earlier and later than the worker's answer a log
	// can have been made: the longest wait for an answer (6 min), and the difference of
	// the clocks (1 min).
	Before, After time.Duration
	// Settle is when a window is counted first after its end (10 min), Again when it is
	// counted again (2 min).
	Settle, Again time.Duration
	// Pause is until a search that failed is made again (30 s).
	Pause time.Duration
}

// complete puts the defaults in.
func (t Times) complete() Times {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&t.Tick, 2*time.Second)
	set(&t.Exceptions, 30*time.Second)
	set(&t.Full, time.Minute)
	set(&t.Overlap, 2*time.Minute)
	set(&t.Slice, 5*time.Minute)
	set(&t.Look, 10*time.Minute)
	set(&t.LookLongest, 6*time.Hour)
	set(&t.Stalled, 15*time.Minute)
	set(&t.Unconfirmed, 72*time.Hour)
	set(&t.Reopen, 7*24*time.Hour)
	set(&t.Before, 6*time.Minute)
	set(&t.After, time.Minute)
	set(&t.Settle, 10*time.Minute)
	set(&t.Again, 2*time.Minute)
	set(&t.Pause, 30*time.Second)
	return t
}

// gap is how far apart two messages of a destination are that fall into two windows.
func (t Times) gap() time.Duration { return t.Before + t.After }

// destinationID is the id in logs of the destination of a job, and false where it is
// not known.
func (s Settings) destinationID(destination string) (string, bool) {
	if id := s.Destinations[destination]; id != "" {
		return id, true
	}
	return destination, uuidShape.MatchString(destination)
}

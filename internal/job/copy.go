package job

import "time"

// Copy is one copy of a job in the queue.
type Copy struct {
	Sequence uint64
	// Stored is the server's time of the copy.
	Stored time.Time
	// Attempt is the number that a schedule gave the copy; 0 for a publisher's.
	Attempt int
	// Digest is the hex SHA-256 of its content.
	Digest string
}

// CopyKind is what a copy of a job, just taken, means beside what the ledger already
// knows of the job.
type CopyKind string

const (
	// New: the ledger knew nothing of the job; its record is made.
	New CopyKind = "new"
	// Resume: the same try goes on where a crash or a shutdown left it.
	Resume CopyKind = "resume"
	// Next: the job's next attempt. A schedule brought the copy, or the schedule is
	// gone and this copy stands in for it.
	Next CopyKind = "next"
	// Restart: the job was published again after it had ended without acceptance.
	Restart CopyKind = "restart"
	// InDoubt: a worker was cut off while sending, and the outcome is unknown.
	InDoubt CopyKind = "in doubt"
	// Replay: the decision stands in the ledger. What follows from it (event, dead
	// letter, schedule, acknowledgement) may be missing and is done again.
	Replay CopyKind = "replay"
	// Stale: an old copy of a job that goes on, or has ended, under a newer one of the
	// same content. It is dropped without a word.
	Stale CopyKind = "stale"
	// Duplicate: the job was published again after it had been accepted.
	Duplicate CopyKind = "duplicate"
	// Concurrent: the job was published again while it is under way.
	Concurrent CopyKind = "concurrent"
	// Reused: another job under the same id has the record. This copy is not sent, and
	// goes to the dead letters with an event of its own.
	Reused CopyKind = "reused"
	// NeedsLookup: it depends on whether the queue still has the recorded copy.
	NeedsLookup CopyKind = "needs lookup"
)

// Lookup is what is known of the recorded copy.
type Lookup int

const (
	// NotAsked: the queue was not asked.
	NotAsked Lookup = iota
	// Present: the queue has the copy, or a schedule of the job.
	Present
	// Gone: it has neither.
	Gone
)

// recorded reports whether the copy is the one the record speaks of.
func (c Copy) recorded(r Record) bool {
	return c.Sequence == r.Sequence && c.Stored.Equal(r.Stored)
}

// older reports whether the copy was published before the recorded one. In a stream
// that was deleted and made again the sequences begin again, the times do not.
func (c Copy) older(r Record) bool {
	return c.Sequence < r.Sequence && !c.Stored.After(r.Stored)
}

// scheduled is the attempt that a schedule of the job gave the copy. A schedule of
// other content than that of the record gives none.
func (r *Record) scheduled(c Copy) int {
	if r.Digest != c.Digest {
		return 0
	}
	return c.Attempt
}

// Classify compares a copy with the record found in the ledger.
//
// The rule behind it: the recorded copy is continued or its settlement repeated. A
// copy that a schedule brought counts only once, by its attempt number, while anything
// else carries the job on. A publisher's other copy starts a job again only if the job
// has ended without acceptance, or if the recorded copy is gone from the queue, since
// then nothing else would ever carry the job on. A copy of other content is never
// dropped without a word.
func Classify(r Record, c Copy, l Lookup) CopyKind {
	kind := classify(r, c, l)
	if r.Digest == c.Digest {
		return kind
	}
	switch {
	case kind == Stale || kind == Duplicate || kind == Concurrent:
		return Reused
	case kind == Resume && !c.recorded(r):
		// It is another job: it has a number, and so events, of its own.
		return Next
	}
	return kind
}

func classify(r Record, c Copy, l Lookup) CopyKind {
	attempt := r.scheduled(c)
	switch {
	case attempt > 0 && attempt <= r.Attempt && !c.recorded(r):
		return classifyMade(r, l)
	case c.recorded(r):
		return classifyRecorded(r)
	case attempt > 0:
		return classifyScheduled(r, l)
	case r.Phase.Final():
		return classifyAfterEnd(r, c)
	case l == NotAsked:
		return NeedsLookup
	case l == Gone:
		return classifyInstead(r)
	case c.older(r):
		return Stale
	}
	return Concurrent
}

// classifyInstead judges a publisher's copy that replaces a lost one. A try that
// was concluded keeps its number: what follows from it was published under that
// number once, and the streams drop a second of the same id.
func classifyInstead(r Record) CopyKind {
	if r.Phase == Waiting {
		return Next
	}
	return inDoubt(r, Resume)
}

func classifyRecorded(r Record) CopyKind {
	if r.Phase == Waiting || r.Phase.Final() {
		return Replay
	}
	return inDoubt(r, Resume)
}

// classifyMade judges a copy that carries the number of an attempt that was made.
// It is the last one where the queue is older than the ledger, restored or after
// a loss of power, or where a worker that stood still for long wrote its schedule
// over a later one.
func classifyMade(r Record, l Lookup) CopyKind {
	switch {
	case r.Phase.Final() || l == Present:
		return Stale
	case l == NotAsked:
		return NeedsLookup
	}
	return classifyInstead(r)
}

// classifyScheduled judges a copy that carries the number of an attempt not yet
// made.
func classifyScheduled(r Record, l Lookup) CopyKind {
	switch {
	case r.Phase.Final():
		return Stale
	case r.Phase == Waiting:
		return Next
	case l == NotAsked:
		return NeedsLookup
	case l == Present:
		return Stale
	}
	return inDoubt(r, Next)
}

// classifyAfterEnd judges a publisher's copy of a job that has ended. An older
// copy is a redelivery that the end has overtaken.
func classifyAfterEnd(r Record, c Copy) CopyKind {
	switch {
	case c.older(r):
		return Stale
	case r.Phase == Accepted:
		return Duplicate
	}
	return Restart
}

func inDoubt(r Record, otherwise CopyKind) CopyKind {
	if r.Phase == Sending {
		return InDoubt
	}
	return otherwise
}

package worker

import (
	"time"

	"github.com/chartpost/chartpost/internal/job"
)

// admission is what a copy of a job, just taken, means beside what the ledger
// already knows of the job.
type admission string

const (
	// begin: the ledger knew nothing of the job; its record is made.
	begin admission = "begin"
	// resume: the same try goes on where a crash or a shutdown left it.
	resume admission = "resume"
	// next: a schedule brought the job back for its next attempt, or the
	// schedule is gone and this copy stands in for it.
	next admission = "next"
	// doubt: a worker was cut off while sending; nobody knows the outcome.
	doubt admission = "doubt"
	// settled: the decision stands in the ledger; what follows from it (event,
	// dead letter, schedule, acknowledgement) may be missing and is done again.
	settled admission = "settled"
	// stale: an old copy of a job that went on under a newer one.
	stale admission = "stale"
	// again: the job was published anew after it had ended without acceptance.
	again admission = "again"
	// duplicate: the job was published again after it had been accepted.
	duplicate admission = "duplicate"
	// concurrent: the job was published again while it is under way.
	concurrent admission = "concurrent"
	// ask: it depends on whether the queue still holds the recorded copy.
	ask admission = "ask"
)

// held is what is known of the recorded copy.
type held int

const (
	heldUnasked held = iota
	heldYes
	heldNo
)

// copyOf is a copy of a job as far as admission needs it.
type copyOf struct {
	sequence uint64
	// stored is the server's time of the copy.
	stored time.Time
	// attempt is the number a schedule gave the copy; 0 for a publisher's.
	attempt int
}

// recorded tells whether the copy is the one the record speaks of.
func (c copyOf) recorded(r job.Record) bool {
	return c.sequence == r.Sequence && c.stored.Equal(r.Stored)
}

// older tells whether the copy was published before the recorded one. In a
// stream that was made anew the sequences begin again, the times do not.
func (c copyOf) older(r job.Record) bool {
	return c.sequence < r.Sequence && !c.stored.After(r.Stored)
}

// admit compares a copy with the record found in the ledger.
//
// The rule behind it: the recorded copy is continued or its
// settlement repeated. A copy that a schedule brought counts only once, by its
// attempt number, while anything else carries the job on. A publisher's other copy starts a job again only if the job
// has ended without acceptance, or if the recorded copy is gone from the queue,
// since then nothing else would ever carry the job on.
func admit(r job.Record, c copyOf, h held) admission {
	switch {
	case c.attempt > 0 && c.attempt <= r.Attempt && !c.recorded(r):
		return admitMade(r, h)
	case c.recorded(r):
		return admitSame(r)
	case c.attempt > 0:
		return admitScheduled(r, h)
	case r.Phase.Final():
		return admitAfterEnd(r, c)
	case h == heldUnasked:
		return ask
	case h == heldNo:
		return admitInstead(r)
	case c.older(r):
		return stale
	}
	return concurrent
}

// admitInstead judges a publisher's copy that replaces a lost one. A try that
// was concluded keeps its number: what follows from it was published under that
// number once, and the streams drop a second of the same id.
func admitInstead(r job.Record) admission {
	if r.Phase == job.Waiting {
		return next
	}
	return inDoubt(r, resume)
}

func admitSame(r job.Record) admission {
	if r.Phase == job.Waiting || r.Phase.Final() {
		return settled
	}
	return inDoubt(r, resume)
}

// admitMade judges a copy that carries the number of an attempt that was made.
// It is the last one where the queue is older than the ledger, restored or after
// a loss of power, or where a worker that stood still for long wrote its schedule
// over a later one.
func admitMade(r job.Record, h held) admission {
	switch {
	case r.Phase.Final() || h == heldYes:
		return stale
	case h == heldUnasked:
		return ask
	}
	return admitInstead(r)
}

// admitScheduled judges a copy that carries the number of an attempt not yet
// made.
func admitScheduled(r job.Record, h held) admission {
	switch {
	case r.Phase.Final():
		return stale
	case r.Phase == job.Waiting:
		return next
	case h == heldUnasked:
		return ask
	case h == heldYes:
		return stale
	}
	return inDoubt(r, next)
}

// admitAfterEnd judges a publisher's copy of a job that has ended. An older
// copy is a redelivery that the end has overtaken.
func admitAfterEnd(r job.Record, c copyOf) admission {
	switch {
	case c.older(r):
		return stale
	case r.Phase == job.Accepted:
		return duplicate
	}
	return again
}

func inDoubt(r job.Record, otherwise admission) admission {
	if r.Phase == job.Sending {
		return doubt
	}
	return otherwise
}

package worker

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// verdict is what the end of a try says of what lies beyond this worker.
type verdict int

const (
	// silent: it says nothing.
	silent verdict = iota
	// well: Redox and the destination answered.
	well
	// badly: something other than the job failed.
	badly
)

// ending is what a handled job says of its lane and of the way to Redox.
type ending struct {
	job     string
	verdict verdict
	// scope is what failed, where the verdict is badly.
	scope  fault.Scope
	reason schemas.Reason
	// after is the least wait the other side asked for.
	after time.Duration
}

// endingOf judges the fault a try met; sent says that the message had left.
func endingOf(job string, f *fault.Fault, sent bool) ending {
	e := ending{job: job, scope: f.Scope, reason: reasonOf(f), after: f.RetryAfter}
	switch {
	case f.Kind == fault.Interrupted || f.Kind == fault.Superseded:
		return ending{job: job}
	case f.Scope != fault.Job:
		e.verdict = badly
	case f.Kind == fault.Permanent && sent:
		// A refusal is an answer.
		e.verdict = well
	}
	return e
}

// ofLane tells whether other jobs of the lane would meet the same, whichever
// worker takes them. Where uploads fail and messages too, neither the worker's
// gate nor the lanes' breakers would see faults enough of one kind alone.
//
// A store that fails counts too: it may be one bucket of several, and where that
// hangs, the lanes that name it would hold the slots of all.
func (e ending) ofLane() bool {
	return e.scope == fault.Destination || e.scope == fault.Uploads || e.scope == fault.Store
}

// ticket is a job in hand, as the dispatcher knows it.
type ticket struct {
	lane schemas.Lane
	// laneProbe says that the job was taken to find out whether others of its
	// lane may follow.
	laneProbe bool
	// gate and breaker number the openings that lay behind its taking: what
	// began before one says nothing of what came after.
	gate, breaker int
	// parked: it keeps no slot; queued: it was parked while it waited for the budget.
	parked, queued, over bool
	ending               ending
}

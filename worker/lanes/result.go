package lanes

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Health is what the end of a job says of what lies beyond this worker.
type Health int

const (
	// Unknown: it says nothing.
	Unknown Health = iota
	// Healthy: Redox and the destination answered.
	Healthy
	// Failing: something other than the job failed.
	Failing
)

// Result is what a job that ended says of its lane and of the way to Redox.
type Result struct {
	Job    string
	Health Health
	// Scope is what failed, where it is Failing.
	Scope  fault.Scope
	Reason schemas.Reason
	// After is the least wait that the other side asked for.
	After time.Duration
	// Limited: too much was sent, which is no job's doing.
	Limited bool
	// Returning: the job failed before and came back by its schedule. It may be
	// the job's own fault, so that its failing says nothing of other jobs.
	Returning bool
	// Refused: the other side answered, and refuses this job for good. Own: it
	// may be for this worker's own credentials or settings.
	Refused, Own bool
}

// ofLane reports whether other jobs of the lane would meet the same, whichever
// worker takes them. Where uploads fail and messages too, neither the worker's
// gate nor the lanes' breakers would see faults enough of one kind alone.
//
// A store that fails counts too: it may be one bucket of several, and where that
// hangs, the lanes that name it would hold the slots of all.
func (r Result) ofLane() bool {
	return r.Scope == fault.Destination || r.Scope == fault.Uploads || r.Scope == fault.Store
}

// accepted reports whether the other side took the job.
func (r Result) accepted() bool { return r.Health == Healthy && !r.Refused }

// Slot is a job in hand. The Table makes it; the caller hands it back.
type Slot struct {
	Lane schemas.Lane
	// Probe says that the job was taken to find out whether others may follow, of
	// its lane or of any. Suspect is the code that a probe is to meet no more:
	// a job that is refused with it must not end for it.
	Probe   bool
	Suspect string
	// Repeats says that the job may repeat a step that failed while it is in
	// hand. In a lane that fails it makes room for another job instead.
	Repeats bool
	// laneProbe: of its lane.
	laneProbe bool
	// since is when it was taken.
	since time.Time
	// gate and breaker number the openings that lay behind its taking: what
	// began before one says nothing of what came after. accepted numbers the
	// jobs of the lane that had been taken then.
	gate, breaker, accepted int
	// yielded: it keeps no slot, and for which wait. slow: it halved its lane's
	// window. over: it has ended.
	yielded, slow, over bool
	wait                Wait
}

// Wait is what a job that keeps no slot waits for.
type Wait int

const (
	// ForAnswer: the whole message has left.
	ForAnswer Wait = iota
	// ForBytes: a file or message that hardly moves, or a token.
	ForBytes
	// ForBudget: the right to a request.
	ForBudget
)

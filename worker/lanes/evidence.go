package lanes

import "time"

// evidence is what the jobs of a lane met of late.
//
// A fault is the destination's only if different jobs meet it and no other job
// goes well in between. So what a job met counts only if no job of the lane was
// accepted since it began, and only if the job did not fail before: one that
// came back by its schedule may fail for its own sake. Where no job of the lane was
// ever seen to go well, those count too: few jobs may be all there is.
type evidence struct {
	streak   failureStreak
	refusals refusalStreak
	// accepted counts the jobs that went well.
	accepted int
	// mixed counts the faults that were not the destination's, up to mostMixed:
	// the more, the longer a streak must be.
	mixed int
	// good counts the jobs that went well since one failed; failed says that one
	// did.
	good   int
	failed bool
	// failedAt is when one did last.
	failedAt time.Time
}

const (
	// evidenceAge is how long what failed is remembered of a lane without jobs.
	evidenceAge = time.Hour
	// failuresOfALane is how many different jobs must fail in a row, in a lane
	// whose jobs do not fail for their own sake; mostMixed is how many more it
	// takes otherwise.
	failuresOfALane, mostMixed = 3, 5
	// goodForRepeats is after how many good jobs a lane that failed counts as one
	// that did not.
	goodForRepeats = 20
)

// repeats reports whether a job may repeat a step in its place.
func (e *evidence) repeats() bool { return !e.failed || e.good >= goodForRepeats }

// opens takes in a result, and reports whether it opens the breaker.
func (e *evidence) opens(s *Slot, r Result) bool {
	switch {
	case r.accepted():
		e.went()
		return false
	case r.Refused:
		// The destination answers: no fault of its own.
		e.streak.clear()
		return e.refusals.add(r.Job, r.Reason.Code)
	case r.Health == Healthy:
		e.streak.clear()
		return false
	case r.Health == Unknown || !r.ofLane():
		return false
	}
	e.failed, e.good = true, 0
	switch {
	case r.Limited:
		return true
	case r.Returning && e.accepted > 0:
		return false
	case s.accepted != e.accepted:
		e.mixed = min(e.mixed+1, mostMixed)
		return false
	}
	return e.streak.add(r.Job, failuresOfALane+e.mixed) >= failuresOfALane+e.mixed || r.After > 0 && !r.Returning
}

// went takes in a job that was accepted.
func (e *evidence) went() {
	if e.streak.count > 0 {
		e.mixed = min(e.mixed+1, mostMixed)
	}
	e.streak.clear()
	e.refusals.clear()
	e.accepted++
	if e.good++; e.good >= goodForRepeats {
		e.mixed = 0
	}
}

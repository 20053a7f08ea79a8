package job

import (
	"math"
	"time"
)

// OnUnknown is what becomes of a job whose message may or may not be at Redox.
type OnUnknown string

const (
	// ResendUnknown sends again, with the same identifiers, and says so.
	ResendUnknown OnUnknown = "resend"
	// HoldUnknown ends the job as unknown; a person or a check decides.
	HoldUnknown OnUnknown = "hold"
)

// Policy says how long failing jobs are tried.
type Policy struct {
	OnUnknown OnUnknown
	// First and Longest bound the wait before the next attempt: it doubles from
	// First with every attempt, up to Longest, and is drawn from the upper half
	// of that range, so that jobs that failed together do not return together.
	First, Longest time.Duration
	// Unseen is how long a job waits for a predecessor that the ledger does not know.
	Unseen time.Duration
	// Deferrals is how often in one attempt a fault that is not the job's own is
	// borne without ending the attempt: the job goes back to its lane, and it is
	// for the lane's breaker to find out whether others meet the same.
	Deferrals int
}

// wait is how long a job waits before the attempt after this one.
func (p Policy) wait(attempt int, jitter float64) time.Duration {
	full := float64(p.First) * math.Pow(2, float64(max(attempt, 1)-1))
	full = min(full, float64(p.Longest))
	return time.Duration(full/2 + jitter*full/2)
}

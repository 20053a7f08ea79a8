package lanes

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// gate stops this worker from taking any job while what every job needs is
// broken: the token endpoint, the upload endpoint, the object store, the
// ledger. It is the worker's own: a key that is wrong here says nothing of the
// other workers.
type gate struct {
	slots   int
	backoff Backoff
	streak  failureStreak
	// refusals are those that may be this worker's own fault, and refused the
	// lanes that met them: up to two are kept.
	refusals refusalStreak
	refused  []schemas.Lane
	// allowed is how many slots may be used: all, or none while it is shut, then
	// one, and one more with every job that goes well.
	allowed int
	until   time.Time
	reason  schemas.Reason
	// opened counts the times it was shut since a job last went well, and
	// number all of them.
	opened, number int
	// suspect: it was shut for refusals, with the code of reason.
	suspect bool
}

func newGate(slots int, b Backoff) *gate { return &gate{slots: slots, allowed: slots, backoff: b} }

// shut reports whether no job is taken at all.
func (g *gate) shut() bool { return g.allowed == 0 }

// probing reports whether the next job decides if others follow.
func (g *gate) probing() bool { return g.allowed == 1 && g.opened > 0 }

// tick lets one job through when the wait is over.
func (g *gate) tick(now time.Time) {
	if g.shut() && !now.Before(g.until) {
		g.allowed = 1
	}
}

// ended takes in what a job met. It reports whether the gate has just been shut.
func (g *gate) ended(s *Slot, r Result, now time.Time, jitter float64) bool {
	if s.gate != g.number || g.shut() || r.Health == Unknown {
		return false
	}
	switch {
	case g.concerns(r):
		if !g.storm(s.Lane, r) {
			return false
		}
		g.suspect = true
	case r.Health == Healthy, r.Scope == fault.Destination:
		// A destination that fails was reached, by all that is common.
		g.streak.clear()
		if r.Health == Healthy {
			g.forgive()
		}
		g.allowed, g.opened = min(g.allowed+1, g.slots), 0
		return false
	case !g.enough(r) && r.After == 0:
		return false
	default:
		g.suspect = false
	}
	g.streak.clear()
	g.forgive()
	g.opened, g.number = g.opened+1, g.number+1
	g.allowed, g.reason = 0, r.Reason
	g.until = now.Add(g.backoff.rest(g.opened, jitter, r.After))
	return true
}

// enough reports whether so many faults are no longer the jobs' own: those of
// different jobs in a row, or twice as many of fewer.
func (g *gate) enough(r Result) bool {
	most := g.patience()
	return g.streak.add(r.Job, most) >= most || g.streak.count >= 2*most
}

// patience is how many different jobs must fail in a row. One job in two that
// fails, because of one bucket of several, must not stop the others; while
// one job is let through it alone counts.
func (g *gate) patience() int {
	if g.probing() {
		return 1
	}
	return max(3, g.allowed)
}

// concerns reports whether a refusal may be this worker's own fault. While one
// job is let through for another reason, a refusal is an answer.
func (g *gate) concerns(r Result) bool {
	return r.Refused && r.Own && (!g.probing() || g.suspect && g.reason.Code == r.Reason.Code)
}

// storm reports whether refusals are the worker's: so many different jobs met
// the same, of more than one lane. Those of one lane are for its breaker.
func (g *gate) storm(lane schemas.Lane, r Result) bool {
	if g.probing() {
		return true
	}
	if g.refusals.code != r.Reason.Code {
		g.refused = g.refused[:0]
	}
	if len(g.refused) == 0 || len(g.refused) == 1 && g.refused[0] != lane {
		g.refused = append(g.refused, lane)
	}
	return g.refusals.add(r.Job, r.Reason.Code) && len(g.refused) > 1
}

func (g *gate) forgive() {
	g.refusals.clear()
	g.refused = g.refused[:0]
}

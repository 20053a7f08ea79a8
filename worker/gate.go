package worker

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Backoff is how long a lane or a worker stays away from what is broken: First,
// then double with every opening up to Longest, each drawn from the upper half.
type Backoff struct{ First, Longest time.Duration }

func (b Backoff) wait(opened int, jitter float64) time.Duration {
	return Patience{First: b.First, Longest: b.Longest}.wait(opened, jitter)
}

// rest is the wait, or what the other side asked for, within thirty times Longest
// (15 minutes): one answer must not stop everything for a day.
func (b Backoff) rest(opened int, jitter float64, asked time.Duration) time.Duration {
	return max(b.wait(opened, jitter), min(asked, b.longestRest()))
}

func (b Backoff) longestRest() time.Duration { return 30 * b.Longest }

// gate stops this worker from taking any job while what every job needs is
// broken: the token endpoint, the upload endpoint, the object store, the
// ledger. It is the worker's own: a key that is wrong here says nothing of the
// other workers. It decides and does nothing; it is not safe for concurrent use.
type gate struct {
	slots   int
	backoff Backoff
	strikes strikes
	// allowed is how many slots may be used: all, or none while it is shut, then
	// one, and one more with every job that goes well.
	allowed int
	until   time.Time
	reason  schemas.Reason
	// opened counts the times it was shut since a job last went well, and
	// number all of them.
	opened, number int
}

func newGate(slots int, b Backoff) *gate { return &gate{slots: slots, allowed: slots, backoff: b} }

// shut tells whether no job is taken at all.
func (g *gate) shut() bool { return g.allowed == 0 }

// probing tells whether the next job decides if others follow.
func (g *gate) probing() bool { return g.allowed == 1 && g.opened > 0 }

// tick lets one job through when the wait is over.
func (g *gate) tick(now time.Time) {
	if g.shut() && !now.Before(g.until) {
		g.allowed = 1
	}
}

// ended takes in what a job met. It tells whether the gate has just been shut.
func (g *gate) ended(t *ticket, now time.Time, jitter float64) bool {
	e := t.ending
	switch {
	case t.gate != g.number || g.shut():
		return false
	case e.verdict == silent:
		return false
	case e.verdict == well, e.scope == fault.Destination:
		// A destination that fails was reached, by all that is common.
		g.strikes.clear()
		g.allowed, g.opened = min(g.allowed+1, g.slots), 0
		return false
	}
	if !g.strikes.add(e.job, g.patience()) && e.after == 0 {
		return false
	}
	g.strikes.clear()
	g.opened, g.number = g.opened+1, g.number+1
	g.allowed, g.reason = 0, e.reason
	g.until = now.Add(g.backoff.rest(g.opened, jitter, e.after))
	return true
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

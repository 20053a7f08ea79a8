package budget

import "time"

const (
	// longestWait is how long a Retry-After is obeyed at the most, so that one
	// wrong answer cannot stop a destination or an address for a day.
	longestWait = 15 * time.Minute
	// unsaidWait is the wait of a destination whose refusal names no time.
	unsaidWait = 10 * time.Second
)

// Ruling is whose limit an answer was refused by.
type Ruling struct {
	// OfDestination: by the limit of the message's destination alone. Otherwise
	// it is the address's, which binds every request.
	OfDestination bool
	// Wait is the least time for which nothing is sent within that limit.
	Wait time.Duration
}

// refusals remembers which destinations were refused, to tell a destination's
// limit from the address's: Redox counts requests for each egress address (Redox
// docs, "Rate limits"), but a 429 may as well come from what lies behind one
// destination. Nothing says which, so this is our inference.
type refusals struct {
	window time.Duration
	// last is the destination that was refused last, at lastAt; otherAt is when
	// any other one was refused last.
	last            string
	lastAt, otherAt time.Time
}

// judge rules on an answer that was refused at now. The limit is the address's
// where the answer states it, where the request was for no destination, and
// where two destinations were refused within a window. Otherwise it is the
// destination's.
func (r *refusals) judge(a Answer, now time.Time) Ruling {
	if a.Destination == "" {
		return Ruling{Wait: min(a.RetryAfter, longestWait)}
	}
	r.note(a.Destination, now)
	if a.Limit > 0 || !r.otherAt.IsZero() && now.Sub(r.otherAt) < r.window {
		return Ruling{Wait: min(a.RetryAfter, longestWait)}
	}
	wait := min(a.RetryAfter, longestWait)
	if wait == 0 {
		wait = unsaidWait
	}
	return Ruling{OfDestination: true, Wait: wait}
}

func (r *refusals) note(destination string, now time.Time) {
	if destination != r.last {
		r.otherAt = r.lastAt
		r.last = destination
	}
	r.lastAt = now
}

package budget

import (
	"math"
	"time"
)

// mostBelieved is the highest limit that is believed.
const mostBelieved = 1_000_000

// estimate is what Redox has said of the limit.
type estimate struct {
	// Header is the limit that X-RateLimit-Limit stated, 0 before the first.
	Header int `json:"header,omitempty"`
	// Rise is a higher one that was stated since RiseAt.
	Rise   int   `json:"rise,omitempty"`
	RiseAt int64 `json:"rise_at,omitempty"`
	// Cut is how many requests were in the window when one was refused without
	// that the header explains it, less a little; 0 when nothing was refused.
	// Up to Quiet it stands, then it grows.
	Cut   int   `json:"cut,omitempty"`
	CutAt int64 `json:"cut_at,omitempty"`
	Quiet int64 `json:"quiet,omitempty"`
	// Times counts the cuts since the limit was last reached in peace; those
	// that follow each other within a window are one, a row, and Row counts
	// them. From is what was effective before the row.
	Times int `json:"times,omitempty"`
	Row   int `json:"row,omitempty"`
	From  int `json:"from,omitempty"`
	// Hold is until when nothing is sent.
	Hold int64 `json:"hold,omitempty"`
}

// limit is what Redox states, or is believed to take before it states anything.
func (b *estimate) limit(rules rules) int {
	if b.Header == 0 {
		return rules.requests
	}
	if rules.most > 0 {
		return min(b.Header, rules.most)
	}
	return b.Header
}

// effective is how many requests may be in the window.
func (b *estimate) effective(rules rules, now int64) int {
	limit := b.limit(rules)
	if b.Cut == 0 {
		return limit
	}
	windows := float64(now-b.Quiet) / float64(rules.window)
	grown := float64(b.Cut) + float64(limit)*growth(windows)
	if b.Row >= collapse && windows > 0 {
		grown = max(grown, min(float64(b.Cut)*math.Exp2(windows), regained*float64(b.From)))
	}
	return min(limit, int(grown))
}

// most is how many permits a worker may have at a time: none while all hold
// still, then one, until an answer to the first can have come, and for a tenth
// of a window what twice an even pace allows: one refusal is not followed by
// hundreds.
func (b *estimate) most(rules rules, effective int, now int64) int {
	switch {
	case now < b.Hold:
		return 0
	case b.Hold > 0 && now < b.Hold+int64(3*rules.every):
		return 1
	case b.Hold > 0 && now < b.Hold+int64(rules.window/10):
		return max(int(2*float64(effective)*rules.every.Seconds()/rules.window.Seconds()), 1)
	}
	return mostBelieved
}

// move puts the times earlier.
func (b *estimate) move(by int64) {
	for _, at := range []*int64{&b.RiseAt, &b.CutAt, &b.Quiet, &b.Hold} {
		if *at != 0 {
			*at -= by
		}
	}
}

// bound keeps the times to what they can be in a record written at written.
func (b *estimate) bound(rules rules, written int64) {
	b.RiseAt, b.CutAt = min(b.RiseAt, written), min(b.CutAt, written)
	b.Quiet = min(b.Quiet, written+mostQuiet*int64(rules.window))
	b.Hold = min(b.Hold, written+int64(rules.longestHold()+rules.lag))
}

// growth is the part of the limit that a cut has grown by, some windows after
// it was quiet: 1 % in the first window, then 2, 4, 8, and 10 % in each further.
func growth(windows float64) float64 {
	grown, step := 0.0, 0.01
	for windows > 0 && grown < 1 {
		grown += step * min(windows, 1)
		windows--
		step = min(2*step, 0.1)
	}
	return grown
}

// How a refusal is taken. All of it is our inference: Redox does not document
// what follows a 429.
const (
	// cutTo is the part of what was in the window that is thought to fit.
	cutTo = 0.95
	// leastPart of the limit is always thought to fit: one must ask to learn.
	leastPart = 50
	// quietWindows double with every further cut, up to mostQuiet.
	quietWindows, mostQuiet = 2, 12
	// collapse is how long a row is of an address that takes nothing at all,
	// rather than less. What it leaves is doubled every window, from half a
	// window after the last refusal on, up to the regained part of what was.
	collapse, regained = 3, 0.8
	// riseAfter is for how long only a higher limit must be stated to be
	// believed.
	riseAfter = time.Minute
)

// holdBase [5 s] is the pause after a refusal that names no time.
func (r rules) holdBase() time.Duration { return r.window / 60 }

// longestHold [15 min] is the longest pause.
func (r rules) longestHold() time.Duration { return min(3*r.window, longestWait) }

// learn takes an answer in. spent is what is in the window.
func (b *estimate) learn(rules rules, a Answer, spent int, now int64) {
	before := b.limit(rules)
	if a.Limit > 0 {
		b.stated(rules, min(a.Limit, mostBelieved), now)
	}
	limit := b.limit(rules)
	if b.Cut > 0 && b.effective(rules, now) >= limit {
		b.Cut, b.CutAt, b.Quiet, b.Times, b.Row, b.From = 0, 0, 0, 0, 0, 0
	}
	if !a.Refused {
		return
	}
	pause := rules.holdBase()
	// Refusals of requests that were under way when all held still say nothing
	// new, and a limit that was just lowered explains them.
	if limit >= before && now >= b.Hold {
		b.cut(rules, limit, spent, now)
		pause <<= min(b.Row-1, 3)
	}
	pause = min(max(pause, a.RetryAfter), rules.longestHold())
	// now may be earlier than it really is.
	b.Hold = max(b.Hold, now+int64(pause+rules.lag))
}

// stated believes a lower limit at once, a higher one when no other was stated
// for riseAfter.
func (b *estimate) stated(rules rules, limit int, now int64) {
	current := b.Header
	if current == 0 {
		current = rules.requests
	}
	switch {
	case limit <= current:
		b.Header, b.Rise, b.RiseAt = limit, 0, 0
	case b.Rise == 0:
		b.Rise, b.RiseAt = limit, now
	case now-b.RiseAt >= int64(riseAfter):
		b.Header, b.Rise, b.RiseAt = min(limit, b.Rise), 0, 0
	default:
		b.Rise = min(limit, b.Rise)
	}
}

// cut lowers the effective limit to what fits.
func (b *estimate) cut(rules rules, limit, spent int, now int64) {
	was := b.effective(rules, now)
	if b.Row > 0 && now-b.CutAt < int64(rules.window) {
		b.Row = min(b.Row+1, collapse+1)
	} else {
		b.Row, b.From, b.Times = 1, was, min(b.Times+1, 4)
	}
	b.Cut = max(min(int(cutTo*float64(spent)), was), limit/leastPart, 1)
	quiet := int64(rules.window) * int64(min(quietWindows<<(b.Times-1), mostQuiet))
	if b.Row >= collapse {
		quiet = int64(rules.window / 2)
	}
	b.CutAt, b.Quiet = now, now+quiet
}

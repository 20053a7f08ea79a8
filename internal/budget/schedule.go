package budget

import "time"

// schedule is what a worker knows of its exchanges of the record.
type schedule struct {
	// last is when the last one ended; failures counts those in vain since.
	last     time.Time
	failures int
	// float is how many permits for live it brought, and scanty tells that
	// these were fewer than wanted.
	float  int
	scanty bool
	// wrote is the last revision of this worker, sent and confirmed when.
	wrote struct {
		revision        uint64
		sent, confirmed time.Time
	}
	// complained is when a failure was last logged.
	complained time.Time
	// seen is the record at the last exchange, at the store's time seenAt.
	seen      *record
	seenAt    int64
	seenLocal time.Time
}

// mostFailures bounds the pause between exchanges of a store that is away: 4 s.
const mostFailures = 4

// due is when the next exchange is to be made; false for never, until something
// happens. chance is of [0,1): workers that started together drift apart.
func (t *schedule) due(d *waiters, rules rules, now time.Time, chance float64) (time.Time, bool) {
	soon := t.last.Add(time.Duration(float64(rules.every) * (0.9 + 0.2*chance)))
	urgent := t.last.Add(rules.urgent)
	all, backfill := d.held(now)
	used, late := d.allowance.unreported()
	demand := d.waiting(Live)+d.want[Live] > all || d.waiting(Backfill)+d.want[Backfill] > backfill
	idle := !demand && used == [2]int{} && late == 0 && d.allowance.told.seq == 0 && len(d.allowance.doubtful) == 0
	switch {
	case idle && !d.pressing:
		return time.Time{}, false
	case t.failures > 0:
		pause := rules.urgent << min(t.failures, mostFailures)
		return t.last.Add(time.Duration(float64(pause) * (0.5 + 0.5*chance))), true
	case d.pressing:
		return urgent, true
	case demand && now.Before(d.frozen):
		return d.frozen, true
	case d.waiting(Live)+d.want[Live] > all && !t.scanty:
		return urgent, true
	case all-backfill < t.float/2+t.float%2 && !t.scanty && used[Live] > 0:
		return urgent, true
	case demand:
		return soon, true
	}
	return t.last.Add(rules.linger), true
}

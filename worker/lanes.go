package worker

import (
	"cmp"
	"math"
	"slices"

	"github.com/chartpost/chartpost/schemas"
)

// lanes is what this worker believes of the lanes, and how its slots are shared
// among them. It decides and does nothing: the caller asks, and reports what
// came. It is not safe for concurrent use.
type lanes struct {
	slots       int
	concurrency int
	// allowed is how many of the slots may be used, and paced how many backfill
	// jobs may still be asked for.
	allowed, paced int
	// inHand and promised are slots in use: by jobs, and by asks that may bring
	// jobs at any moment.
	inHand, promised int
	// parked are jobs whose message has left and whose answer does not come, or
	// which wait for the budget, queued. They cost next to nothing and keep no slot.
	parked, queued int
	// all is by name, list the same for walks: one is made for each free slot, of
	// hundreds of lanes.
	all  map[schemas.Lane]*lane
	list []*lane
	// backfills is how many backfill jobs open asks may bring.
	backfills int
	// scarce: other lanes wait for their turn with the queue.
	scarce bool
	// turn orders the lanes: the one that was asked longest ago comes first.
	turn uint64
	// lives counts the picks of live lanes since backfill had one, and firsts those of
	// lanes that come first since another had one.
	lives, firsts int
}

// room is how many jobs of the lane this worker may have in hand.
func (l *lanes) room(one *lane) int {
	switch f := one.flow; {
	case f.shut:
		return 0
	case f.probing:
		return 1
	case f.limit > 0:
		return min(f.limit, f.window)
	default:
		return min(l.concurrency, f.window)
	}
}

// order is one ask to make.
type order struct {
	lane schemas.Lane
	n    int
	// long asks wait for a job that does not exist yet and keep no slot.
	long bool
}

// livesPerBackfill is how many picks live lanes get before a backfill lane that
// waits gets one, so that neither class starves.
const livesPerBackfill = 4

// firstsPerOther is how many picks lanes that come first get before another that waits
// gets one.
const firstsPerOther = 3

func newLanes(slots, concurrency int) *lanes {
	return &lanes{slots: slots, concurrency: concurrency, allowed: slots, paced: math.MaxInt, all: map[schemas.Lane]*lane{}}
}

func (l *lanes) get(name schemas.Lane) *lane {
	one := l.all[name]
	if one == nil {
		// It comes after the lanes that wait already.
		one = &lane{name: name, asked: l.turn, flow: flow{window: firstWindow}}
		l.all[name] = one
		l.list = append(l.list, one)
	}
	return one
}

func (l *lanes) forget(one *lane) {
	delete(l.all, one.name)
	l.list = slices.DeleteFunc(l.list, func(other *lane) bool { return other == one })
}

// full tells whether no slot is free.
func (l *lanes) full() bool { return l.inHand+l.promised >= l.allowed }

// orders are the asks to make now: short ones of lanes that are ready, as many
// as there are slots, fairly shared; and when no lane is ready, a long one of
// every lane, so that a new job is here at once.
func (l *lanes) orders() []order {
	var out []order
	for {
		if l.full() {
			return out
		}
		c := l.candidates()
		if c.ready == 0 {
			break
		}
		out = append(out, l.short(l.pick(c), c.ready))
	}
	for _, one := range l.list {
		if !l.scarce && one.served && !one.asking && one.inHand < l.room(one) && l.longMay(one) {
			one.asking = true
			if one.name.Class == schemas.Backfill {
				l.paced--
			}
			out = append(out, order{lane: one.name, n: 1, long: true})
		}
	}
	return out
}

// longMay tells whether a long ask of a lane may be open: the budget has to allow
// the job that it may bring at any moment.
func (l *lanes) longMay(one *lane) bool { return one.name.Class != schemas.Backfill || l.paced > 0 }

// backlog is how many backfill jobs could begin if the budget allowed it.
func (l *lanes) backlog() int {
	n := 0
	for _, one := range l.list {
		if one.name.Class == schemas.Backfill && (one.ready || one.promised > 0) {
			n += max(l.room(one)-one.inHand, 0)
		}
	}
	return min(n, max(l.allowed-l.inHand, 0))
}

// candidates are the lanes that may be asked now.
type candidates struct {
	live, backfill choice
	ready          int
}

// choice are the lanes of a class that were asked longest ago: one of those that come
// first, and one of the others.
type choice struct{ first, other *lane }

func (c choice) none() bool { return c.first == nil && c.other == nil }

func (l *lanes) candidates() candidates {
	var c candidates
	for _, one := range l.list {
		if !l.askable(one) {
			continue
		}
		c.ready++
		class := &c.live
		if one.name.Class == schemas.Backfill {
			class = &c.backfill
		}
		oldest := &class.other
		if one.first {
			oldest = &class.first
		}
		if *oldest == nil || cmp.Or(cmp.Compare(one.asked, (*oldest).asked), cmp.Compare(one.name.Destination, (*oldest).name.Destination)) < 0 {
			*oldest = one
		}
	}
	return c
}

// pick chooses the next lane to ask: live before backfill except for backfill's
// share, and lanes that come first before the others except for theirs.
func (l *lanes) pick(c candidates) *lane {
	switch {
	case c.live.none():
		return l.choose(c.backfill)
	case !c.backfill.none() && l.lives >= livesPerBackfill:
		l.lives = 0
		return l.choose(c.backfill)
	}
	l.lives++
	return l.choose(c.live)
}

func (l *lanes) choose(c choice) *lane {
	switch {
	case c.first == nil:
		return c.other
	case c.other != nil && l.firsts >= firstsPerOther:
		l.firsts = 0
		return c.other
	}
	l.firsts++
	return c.first
}

func (l *lanes) askable(one *lane) bool {
	return one.served && one.ready && !one.asking && one.inHand < l.room(one) && (l.paced > 0 || one.name.Class != schemas.Backfill)
}

// short makes an order of the lane's fair share of the free slots, among as many
// as are ready.
func (l *lanes) short(one *lane, ready int) order {
	free := l.allowed - l.inHand - l.promised
	n := min(max(free/ready, 1), l.room(one)-one.inHand)
	if one.name.Class == schemas.Backfill {
		n = min(n, l.paced)
		l.paced -= n
		l.backfills += n
	}
	l.turn++
	one.asking, one.promised, one.asked = true, n, l.turn
	one.doubts.fruitful = false
	l.promised += n
	return order{lane: one.name, n: n}
}

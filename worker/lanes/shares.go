package lanes

import (
	"cmp"
	"math"
	"slices"

	"github.com/chartpost/chartpost/schemas"
)

// shares are the lanes as this worker believes them to be, and how its slots are
// shared among them.
type shares struct {
	total       int
	concurrency int
	// allowed is how many of the slots may be used, and paced how many backfill
	// jobs may still be asked for.
	allowed, paced int
	// inHand and promised are slots in use: by jobs, and by asks that may bring
	// jobs at any moment.
	inHand, promised int
	// yielded are jobs in hand that keep no slot. They cost little.
	yielded yielded
	// all is by name, list the same for walks: one is made for each free slot, of
	// hundreds of lanes.
	all  map[schemas.Lane]*lane
	list []*lane
	// backfills is how many backfill jobs open asks may bring.
	backfills int
	// scarce: other lanes wait for their turn with the queue.
	scarce bool
	picks  picks
}

// picks are what decides whose turn it is.
type picks struct {
	// turn orders the lanes: the one that was asked longest ago comes first.
	turn uint64
	// lives counts the picks of live lanes since backfill had one, and firsts those of
	// lanes that come first since another had one.
	lives, firsts int
}

// yielded counts jobs in hand that keep no slot: their message has left and its answer
// does not come, their bytes hardly move, or they wait for the budget.
type yielded struct{ all, moving, awaitingBudget int }

func (y *yielded) count(wait Wait, n int) {
	y.all += n
	switch wait {
	case ForBytes:
		y.moving += n
	case ForBudget:
		y.awaitingBudget += n
	case ForAnswer:
	}
}

// Ask is one ask to make.
type Ask struct {
	Lane schemas.Lane
	Jobs int
	// Long asks wait for a job that does not exist yet and keep no slot.
	Long bool
}

// livesPerBackfill is how many picks live lanes get before a backfill lane that
// waits gets one, so that neither class starves.
const livesPerBackfill = 4

// firstsPerOther is how many picks lanes that come first get before another that waits
// gets one.
const firstsPerOther = 3

func newShares(slots, concurrency int) *shares {
	return &shares{total: slots, concurrency: concurrency, allowed: slots, paced: math.MaxInt, all: map[schemas.Lane]*lane{}}
}

func (l *shares) get(name schemas.Lane) *lane {
	one := l.all[name]
	if one == nil {
		// It comes after the lanes that wait already.
		one = &lane{name: name, asked: l.picks.turn, flow: flow{window: firstWindow}}
		l.all[name] = one
		l.list = append(l.list, one)
	}
	return one
}

func (l *shares) forget(one *lane) {
	delete(l.all, one.name)
	l.list = slices.DeleteFunc(l.list, func(other *lane) bool { return other == one })
}

// room is how many jobs of the lane this worker may have in hand.
func (l *shares) room(one *lane) int {
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

// full reports whether no slot is free.
func (l *shares) full() bool { return l.inHand+l.promised >= l.allowed }

// asks are the asks to make now: short ones of lanes that are ready, as many
// as there are slots, fairly shared; and when no lane is ready, a long one of
// every lane, so that a new job is here at once. Where lanes wait for their turn,
// only those that come first have a long one: they are few.
func (l *shares) asks() []Ask {
	var out []Ask
	for {
		if l.full() {
			return out
		}
		c := l.candidates()
		if c.ready == 0 {
			break
		}
		out = append(out, l.short(l.pick(c), c))
	}
	for _, one := range l.list {
		if (!l.scarce || one.first) && one.served && !one.asking && one.inHand < l.room(one) && l.longMay(one) {
			one.asking = true
			if one.name.Class == schemas.Backfill {
				l.paced--
			}
			out = append(out, Ask{Lane: one.name, Jobs: 1, Long: true})
		}
	}
	return out
}

// longMay reports whether a long ask of a lane may be open: the budget has to allow
// the job that it may bring at any moment.
func (l *shares) longMay(one *lane) bool { return one.name.Class != schemas.Backfill || l.paced > 0 }

// backlog is how many backfill jobs could begin if the budget allowed it.
func (l *shares) backlog() int {
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
	// share is an equal part of the slots. below: a lane that wants some has less.
	share int
	below bool
	// most is how many slots any lane may have.
	most int
}

// choice are the lanes of a class that are next: one of those that come first, and one of
// the others. Next is the one with the fewest slots, among those the one that has used the
// least, and then the one asked longest ago.
type choice struct{ first, other *lane }

func (c choice) none() bool { return c.first == nil && c.other == nil }

func (l *shares) candidates() candidates {
	c := l.survey()
	for _, one := range l.list {
		if !l.askable(one) || one.slots() >= c.of(one) {
			continue
		}
		c.ready++
		class := &c.live
		if one.name.Class == schemas.Backfill {
			class = &c.backfill
		}
		least := &class.other
		if one.first {
			least = &class.first
		}
		if *least == nil || before(one, *least) {
			*least = one
		}
	}
	return c
}

// survey finds out what a lane may have.
func (l *shares) survey() candidates {
	active, waiting, fewest := 0, 0, l.allowed
	for _, one := range l.list {
		wants := l.wants(one)
		if wants {
			waiting++
			fewest = min(fewest, one.slots())
		}
		if wants || one.slots() > 0 {
			active++
		}
	}
	c := candidates{share: max(l.allowed/max(active, 1), 1), most: l.allowed}
	if waiting > 1 {
		c.most = max(l.allowed/2, 1)
	}
	c.below = fewest < c.share
	return c
}

// of is how many slots a lane may have. One that is slow gives them back late,
// and gets no more than its share; any other gets what is over, up to half while
// another lane waits.
func (c candidates) of(one *lane) int {
	if one.flow.slow || c.below {
		return c.share
	}
	return c.most
}

func before(a, b *lane) bool {
	return cmp.Or(cmp.Compare(a.slots(), b.slots()), cmp.Compare(a.used, b.used), cmp.Compare(a.asked, b.asked), cmp.Compare(a.name.Destination, b.name.Destination)) < 0
}

// pick chooses the next lane to ask: live before backfill except for backfill's
// share, and lanes that come first before the others except for theirs.
func (l *shares) pick(c candidates) *lane {
	switch {
	case c.live.none():
		return l.choose(c.backfill)
	case !c.backfill.none() && l.picks.lives >= livesPerBackfill:
		l.picks.lives = 0
		return l.choose(c.backfill)
	}
	l.picks.lives++
	return l.choose(c.live)
}

func (l *shares) choose(c choice) *lane {
	switch {
	case c.first == nil:
		return c.other
	case c.other != nil && l.picks.firsts >= firstsPerOther:
		l.picks.firsts = 0
		return c.other
	}
	l.picks.firsts++
	return c.first
}

// wants reports whether more jobs of a lane may be had and taken.
func (l *shares) wants(one *lane) bool {
	return one.served && one.ready && one.inHand+one.promised < l.room(one) && (l.paced > 0 || one.name.Class != schemas.Backfill)
}

func (l *shares) askable(one *lane) bool { return l.wants(one) && !one.asking }

// short makes an ask for a lane's share of the slots, or for one of those that are
// over.
func (l *shares) short(one *lane, c candidates) Ask {
	free, n := l.allowed-l.inHand-l.promised, 1
	switch {
	case c.ready == 1 && !c.below:
		n = c.of(one) - one.slots()
	case one.flow.slow:
		n = c.share - one.slots()
	case one.slots() < c.share:
		n = max(c.share-one.slots(), free/c.ready)
	}
	n = min(n, free, l.room(one)-one.inHand)
	if one.name.Class == schemas.Backfill {
		n = min(n, l.paced)
		l.paced -= n
		l.backfills += n
	}
	l.picks.turn++
	one.asking, one.promised, one.asked = true, n, l.picks.turn
	one.sightings.productive = false
	l.promised += n
	return Ask{Lane: one.name, Jobs: n}
}

package worker

import (
	"cmp"
	"math"

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
	// parked are jobs whose message has left and whose answer does not come. They
	// cost next to nothing and keep no slot.
	parked int
	all    map[schemas.Lane]*lane
	// turn orders the lanes: the one that was asked longest ago comes first.
	turn uint64
	// lives counts the picks of live lanes since backfill had one.
	lives int
}

// lane is one lane as this worker sees it.
type lane struct {
	name schemas.Lane
	// ready: it is believed to hold jobs that nobody works on.
	ready bool
	// asking: an ask is open. promised is how many slots are kept for it; a long
	// ask keeps none.
	asking   bool
	promised int
	inHand   int
	asked    uint64
	// resting: the queue refused to serve it; it is not asked until it is seen.
	resting bool
	doubts  doubts
	flow    flow
}

// flow is how much of a lane may be taken.
type flow struct {
	// window is how many jobs of it this worker has in hand at most: it grows
	// with each job that goes well and is halved by each that gets no answer in
	// good time, so that a destination is not given more than it takes.
	window int
	// limit is an operator's, 0 for none.
	limit int
	// shut: no job may be taken; probing: one may.
	shut, probing bool
	// empty counts the listings that found no job in the lane.
	empty int
}

const (
	// firstWindow is the window of a lane nothing is known of.
	firstWindow = 2
	// parkedPerSlot bounds the jobs that keep no slot.
	parkedPerSlot = 8
	// mostEmpty is after how many listings without a job a lane is forgotten:
	// ten minutes. Its first job is then found by a listing.
	mostEmpty = 1200
)

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

// doubts are about a lane that is seen to hold jobs and gives none: others have
// them in hand, or it is paused. Each ask in vain keeps slots from the lanes
// that have some, so it is believed less often the longer that lasts.
type doubts struct {
	// jobs is how many it held when it was seen last.
	jobs uint64
	// vain counts the asks in vain; skip is how many sightings still mean nothing.
	vain, skip int
	// fruitful: the ask that is open has brought something.
	fruitful bool
}

// mostSkips bounds how long a lane is not believed: 8 listings, 4 s.
const mostSkips = 8

// believe tells whether a sighting of jobs means that some can be had. One more
// than last time always does.
func (d *doubts) believe(jobs uint64) bool {
	grown := jobs > d.jobs
	d.jobs = jobs
	if grown || d.skip == 0 {
		return true
	}
	d.skip--
	return false
}

// answered notes the end of a short ask.
func (d *doubts) answered() {
	if d.fruitful {
		return
	}
	d.skip = min(1<<d.vain, mostSkips)
	d.vain = min(d.vain+1, 3)
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

func newLanes(slots, concurrency int) *lanes {
	return &lanes{slots: slots, concurrency: concurrency, allowed: slots, paced: math.MaxInt, all: map[schemas.Lane]*lane{}}
}

func (l *lanes) get(name schemas.Lane) *lane {
	one := l.all[name]
	if one == nil {
		one = &lane{name: name, flow: flow{window: firstWindow}}
		l.all[name] = one
	}
	return one
}

// seen notes how many jobs a lane holds, those in anyone's hands included.
func (l *lanes) seen(name schemas.Lane, jobs uint64) {
	one := l.get(name)
	one.resting, one.flow.empty = false, 0
	if one.doubts.believe(jobs) {
		one.ready = jobs > uint64(one.inHand)
	}
}

// unseen notes that a lane holds no job at all. One that holds none for long is
// forgotten.
func (l *lanes) unseen(name schemas.Lane) {
	one := l.get(name)
	one.doubts = doubts{}
	if one.flow.empty++; one.flow.empty > mostEmpty && one.inHand == 0 && !one.asking {
		delete(l.all, name)
	}
}

// holds tells whether the lane was seen to hold jobs that nobody here works on.
func (l *lanes) holds(name schemas.Lane) bool {
	one := l.all[name]
	return one != nil && one.doubts.jobs > uint64(one.inHand)
}

// steer applies what is known of a lane beside its jobs. A lane that is to be
// probed is believed to have a job.
func (l *lanes) steer(name schemas.Lane, shut, probing bool, limit int) {
	one := l.get(name)
	if probing && !one.flow.probing {
		one.ready = true
	}
	one.flow.shut, one.flow.probing, one.flow.limit = shut, probing, limit
}

// reopened makes a lane begin again with one job.
func (l *lanes) reopened(name schemas.Lane) {
	one := l.get(name)
	one.flow.window, one.ready = 1, true
}

// park frees the slot of a job that only waits for its answer, unless too many
// do. Its lane gets less from now on, either way.
func (l *lanes) park(name schemas.Lane) bool {
	one := l.get(name)
	one.flow.window = max(one.flow.window/2, 1)
	if l.parked >= parkedPerSlot*l.slots {
		return false
	}
	l.parked++
	l.inHand--
	return true
}

// full tells whether no slot is free.
func (l *lanes) full() bool { return l.inHand+l.promised >= l.allowed }

// orders are the asks to make now: short ones of lanes that are ready, as many
// as there are slots, fairly shared; and when no lane is ready, a long one of
// every lane, so that a new job is here at once.
func (l *lanes) orders() []order {
	var out []order
	for !l.full() {
		one := l.pick()
		if one == nil {
			break
		}
		out = append(out, l.short(one))
	}
	if l.full() || l.anyReady() {
		return out
	}
	for _, one := range l.all {
		if !one.asking && !one.resting && one.inHand < l.room(one) && one.flow.empty < mostEmpty && l.longMay(one) {
			one.asking = true
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
	for _, one := range l.all {
		if one.name.Class == schemas.Backfill && (one.ready || one.asking) {
			n += max(l.room(one)-one.inHand, 0)
		}
	}
	return min(n, max(l.allowed-l.inHand, 0))
}

// promisedBackfill is how many backfill jobs open asks may bring.
func (l *lanes) promisedBackfill() int {
	n := 0
	for _, one := range l.all {
		if one.name.Class == schemas.Backfill {
			n += one.promised
		}
	}
	return n
}

// pick chooses the next lane to ask: of its class the one asked longest ago,
// live before backfill but for backfill's share.
func (l *lanes) pick() *lane {
	live, backfill := l.oldest(schemas.Live), l.oldest(schemas.Backfill)
	switch {
	case live == nil:
		return backfill
	case backfill != nil && l.lives >= livesPerBackfill:
		l.lives = 0
		return backfill
	}
	l.lives++
	return live
}

func (l *lanes) oldest(class schemas.Class) *lane {
	var oldest *lane
	for _, one := range l.all {
		if one.name.Class != class || !l.askable(one) {
			continue
		}
		if oldest == nil || cmp.Or(cmp.Compare(one.asked, oldest.asked), cmp.Compare(one.name.Destination, oldest.name.Destination)) < 0 {
			oldest = one
		}
	}
	return oldest
}

func (l *lanes) askable(one *lane) bool {
	return one.ready && !one.asking && one.inHand < l.room(one) && (l.paced > 0 || one.name.Class != schemas.Backfill)
}

func (l *lanes) anyReady() bool {
	for _, one := range l.all {
		if l.askable(one) {
			return true
		}
	}
	return false
}

// short makes an order of the lane's fair share of the free slots.
func (l *lanes) short(one *lane) order {
	ready := 0
	for _, other := range l.all {
		if l.askable(other) {
			ready++
		}
	}
	free := l.allowed - l.inHand - l.promised
	n := min(max(free/ready, 1), l.room(one)-one.inHand)
	if one.name.Class == schemas.Backfill {
		n = min(n, l.paced)
		l.paced -= n
	}
	l.turn++
	one.asking, one.promised, one.asked = true, n, l.turn
	one.doubts.fruitful = false
	l.promised += n
	return order{lane: one.name, n: n}
}

// arrived books a delivery of a lane, behind which pending jobs wait. It tells
// whether a slot is there for it; if not, it must be given back.
func (l *lanes) arrived(name schemas.Lane, pending uint64) bool {
	one := l.get(name)
	one.ready = pending > 0
	one.doubts.fruitful, one.doubts.vain, one.doubts.skip = true, 0, 0
	promised := one.promised > 0
	if promised {
		one.promised--
		l.promised--
	}
	if !promised && l.full() || one.inHand >= l.room(one) {
		// A slot, or the lane, was taken or shut since the ask.
		one.ready = true
		return false
	}
	one.inHand++
	l.inHand++
	return true
}

// refused books the end of an ask that the queue would not serve. The lane is
// forgotten until it is seen to hold jobs again.
func (l *lanes) refused(name schemas.Lane) {
	l.answered(name, 1)
	one := l.all[name]
	if one.inHand == 0 {
		delete(l.all, name)
		return
	}
	one.ready, one.resting = false, true
}

// answered books the end of an ask.
func (l *lanes) answered(name schemas.Lane, unfilled int) {
	one := l.get(name)
	l.promised -= one.promised
	if unfilled > 0 && one.promised > 0 {
		// Asked for more than there was: believe it is empty until something
		// says otherwise.
		one.ready = false
		one.doubts.answered()
	}
	one.asking, one.promised = false, 0
}

// finished books the end of a job.
func (l *lanes) finished(t *ticket) {
	one := l.get(t.lane)
	one.inHand--
	if t.parked {
		l.parked--
	} else {
		l.inHand--
	}
	if t.ending.verdict == well {
		one.flow.window = min(one.flow.window+1, max(l.concurrency, one.flow.limit))
	}
}

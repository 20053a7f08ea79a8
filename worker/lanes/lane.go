package lanes

import "github.com/chartpost/chartpost/schemas"

// lane is one lane as this worker sees it.
type lane struct {
	name schemas.Lane
	// ready: it is believed to hold jobs that no worker has in hand.
	ready bool
	// asking: an ask is open. promised is how many slots are kept for it; a long
	// ask keeps none.
	asking   bool
	promised int
	// inHand are its jobs in hand; yielded are those of them that keep no slot.
	inHand  int
	yielded yielded
	asked   uint64
	// used is for how many seconds its jobs have held slots of late.
	used float64
	// served: the queue has a consumer for it.
	served bool
	// first: it comes before those that are not.
	first     bool
	sightings sightings
	flow      flow
}

// slots is how many slots the lane keeps from others.
func (one *lane) slots() int { return one.inHand - one.yielded.all + one.promised }

// flow is how much of a lane may be taken.
type flow struct {
	// window is how many jobs of it this worker has in hand at most. It grows by
	// one with each job that goes well, so that it doubles with each round of
	// them, and is halved by each that yields its slot, so that a destination is
	// not given more than it takes. A job that yielded and goes well all the same
	// takes its halving back: the destination is slow, and takes what it gets.
	window int
	// slow: the last job that went well, or the last that yielded, was slow.
	slow bool
	// limit is an operator's, 0 for none.
	limit int
	// shut: no job may be taken; probing: one may.
	shut, probing bool
}

// yields takes in that a job was too slow for a slot.
func (f *flow) yields() { f.window, f.slow = max(f.window/2, 1), true }

// wentWell takes in a job that went well; yielded says that it had been slow.
func (f *flow) wentWell(yielded bool, most int) {
	next := f.window + 1
	if yielded {
		next = 2 * f.window
	}
	f.window, f.slow = min(next, most), yielded
}

const (
	// firstWindow is the window of a lane nothing is known of.
	firstWindow = 2
	// yieldedPerSlot bounds the jobs that keep no slot, and movingPerSlot those of
	// them whose bytes move.
	yieldedPerSlot, movingPerSlot = 8, 4
)

// sightings are of a lane that is seen to hold jobs and gives none: others have
// them in hand, or it is paused. Each ask in vain keeps slots from the lanes
// that have some, so it is believed less often the longer that lasts.
type sightings struct {
	// jobs is how many it held when it was seen last.
	jobs uint64
	// vain counts the asks in vain; skip is how many sightings still mean nothing.
	fruitless, skip int
	// productive: the ask that is open has brought something.
	productive bool
}

// mostSkips bounds how long a lane is not believed: 8 listings, 4 s.
const mostSkips = 8

// allow reports whether a sighting of jobs means that some can be had. One more
// than last time always does.
func (d *sightings) allow(jobs uint64) bool {
	grown := jobs > d.jobs
	d.jobs = jobs
	if grown || d.skip == 0 {
		return true
	}
	d.skip--
	return false
}

// answered notes the end of a short ask.
func (d *sightings) answered() {
	if d.productive {
		return
	}
	d.skip = min(1<<d.fruitless, mostSkips)
	d.fruitless = min(d.fruitless+1, 3)
}

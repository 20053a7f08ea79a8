package worker

import (
	"github.com/chartpost/chartpost/schemas"
)

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
	// served: the queue has a consumer for it.
	served bool
	// first: it comes before those that are not.
	first  bool
	doubts doubts
	flow   flow
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
}

const (
	// firstWindow is the window of a lane nothing is known of.
	firstWindow = 2
	// parkedPerSlot bounds the jobs that keep no slot.
	parkedPerSlot = 8
)

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

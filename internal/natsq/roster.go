package natsq

import (
	"cmp"
	"slices"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// roster decides which lanes have a consumer. Lanes that hold jobs take turns where
// there are more of them than consumers. It does nothing itself and has no clock; it
// is not safe for concurrent use.
type roster struct {
	// most is how many lanes have a consumer at once: the limit that setup gave the
	// jobs stream, without its spare.
	most int
	// turn is how long a lane keeps its consumer while others wait for one, and idle
	// how long one without jobs keeps it while none does.
	turn, idle time.Duration
	lanes      map[schemas.Lane]*place
	// ranks are those of lanes of which jobs were accepted.
	ranks map[schemas.Lane]int
	// count is how many consumers were made.
	count int
}

// place is a lane in the roster.
type place struct {
	lane schemas.Lane
	jobs uint64
	// consumer: the lane has one. offered: workers may ask it.
	consumer, offered bool
	// since is when the lane got its consumer, or when it began to wait for one.
	since time.Time
	// came is since when the lane holds jobs, and empty since when one with a consumer
	// holds none; zero otherwise.
	came, empty time.Time
	// turns is how many consumers it had since it holds jobs.
	turns int
	shut  shutness
	// stuck: the consumer believes messages settled that the lane still holds.
	stuck      bool
	failed     makeFailures
	precedence precedence
}

// makeFailures are the tries to make a lane's consumer that failed in a row.
type makeFailures struct {
	count int
	// again is when the next try may be, and reason why the last one failed.
	again  time.Time
	reason string
}

// shutness is what a lane's state says of taking its jobs.
type shutness int

const (
	// laneOpen: anybody may take its jobs, or the worker that probes it.
	laneOpen shutness = iota
	// laneShut: it is paused, or its breaker is open.
	laneShut
	// laneProbeDue: its breaker's wait is over; a worker is to say that it probes it.
	laneProbeDue
)

// The wait for the next try to make a consumer doubles from the first to the longest.
const (
	firstMakeWait   = 2 * time.Second
	longestMakeWait = time.Minute
)

func newRoster(most int, turn, idle time.Duration) *roster {
	return &roster{most: most, turn: turn, idle: idle, lanes: map[schemas.Lane]*place{}}
}

func (r *roster) get(lane schemas.Lane, now time.Time) *place {
	p := r.lanes[lane]
	if p == nil {
		p = &place{lane: lane, since: now}
		r.lanes[lane] = p
	}
	return p
}

// listed takes in how many jobs each lane holds. A lane that holds none and has no
// consumer is forgotten.
func (r *roster) listed(found map[schemas.Lane]uint64, now time.Time) {
	for lane, jobs := range found {
		p := r.get(lane, now)
		p.hold(jobs, now)
	}
	for lane, p := range r.lanes {
		if _, holds := found[lane]; holds {
			continue
		}
		if !p.consumer {
			delete(r.lanes, lane)
			continue
		}
		if p.hold(0, now); p.empty.IsZero() {
			p.empty = now
		}
	}
}

// hold notes how many jobs a lane holds.
func (p *place) hold(jobs uint64, now time.Time) {
	switch p.jobs = jobs; {
	case jobs == 0:
		p.came, p.turns = time.Time{}, 0
	case p.came.IsZero():
		p.came, p.empty = now, time.Time{}
	}
}

// arrived takes in that a lane has a new job.
func (r *roster) arrived(lane schemas.Lane, now time.Time) {
	p := r.get(lane, now)
	p.hold(p.jobs+1, now)
}

// has takes in which lanes have a consumer, by the server's word.
func (r *roster) has(consumers map[schemas.Lane]bool, now time.Time) {
	for lane := range consumers {
		if p := r.get(lane, now); !p.consumer {
			r.made(lane, now)
		}
	}
	for lane, p := range r.lanes {
		if p.consumer && !consumers[lane] {
			r.gone(lane, now)
		}
	}
}

// made notes that a lane got its consumer.
func (r *roster) made(lane schemas.Lane, now time.Time) {
	p := r.get(lane, now)
	p.consumer, p.offered, p.stuck, p.since = true, true, false, now
	p.failed = makeFailures{}
	p.turns++
	r.count++
}

// failed notes that no consumer could be made, and why.
func (r *roster) failed(lane schemas.Lane, reason string, now time.Time) {
	p := r.get(lane, now)
	wait := min(firstMakeWait<<min(p.failed.count, 10), longestMakeWait)
	p.failed = makeFailures{p.failed.count + 1, now.Add(wait), reason}
}

// gone notes that a lane's consumer is not there any more.
func (r *roster) gone(lane schemas.Lane, now time.Time) {
	if p := r.lanes[lane]; p != nil {
		p.consumer, p.offered, p.stuck, p.since, p.empty = false, false, false, now, time.Time{}
	}
}

// steps are what the roster wants done.
type steps struct {
	// make are the lanes that are to get a consumer, and free those whose consumer
	// may go, once nothing is in hand.
	make, free []schemas.Lane
	// scarce: more lanes hold jobs than can have a consumer.
	scarce bool
}

// plan decides what is to be done now. shut reports the state of each lane.
func (r *roster) plan(shut func(schemas.Lane) shutness, now time.Time) steps {
	var waiting, serving []*place
	for _, p := range r.lanes {
		p.shut = shut(p.lane)
		switch {
		case p.consumer:
			serving = append(serving, p)
		case p.jobs > 0 && p.shut == laneOpen && !now.Before(p.failed.again):
			waiting = append(waiting, p)
		}
	}
	r.precede()
	out := steps{make: r.pick(waiting, serving, now)}
	need := len(waiting) - len(out.make)
	out.scarce = need > 0
	slices.SortFunc(serving, bySince)
	for _, p := range serving {
		p.offered = p.shut == laneOpen && !p.stuck
		switch {
		case p.jobs == 0 && !p.empty.IsZero() && (out.scarce && p.precedence != senior || now.Sub(p.empty) >= r.idle):
			p.offered = false
		case need > 0 && p.precedence != senior && now.Sub(p.since) >= r.turn:
			p.offered = false
		}
		if !p.offered {
			out.free = append(out.free, p.lane)
			need--
		}
	}
	return out
}

// offers are the lanes that workers may ask, with the jobs they hold, those that a
// worker is to probe, and those that come first.
func (r *roster) offers() (ask, probe map[schemas.Lane]uint64, first []schemas.Lane) {
	ask, probe = map[schemas.Lane]uint64{}, map[schemas.Lane]uint64{}
	for lane, p := range r.lanes {
		if p.offered && p.precedence != ordinary {
			first = append(first, lane)
		}
		switch {
		case p.offered:
			ask[lane] = p.jobs
		case p.jobs > 0 && p.shut == laneProbeDue && len(probe) < r.most:
			probe[lane] = p.jobs
		}
	}
	return ask, probe, first
}

// unserved are the lanes that hold jobs which nobody can take, although nothing is
// wrong with their destinations, and why.
func (r *roster) unserved() map[schemas.Lane]string {
	all := map[schemas.Lane]string{}
	for lane, p := range r.lanes {
		if p.consumer || p.jobs == 0 || p.shut != laneOpen {
			continue
		}
		all[lane] = cmp.Or(p.failed.reason, reasonTurn)
	}
	return all
}

// reasonTurn is that of a lane that waits for its turn.
const reasonTurn = "waiting_for_turn"

// busy reports whether any lane holds jobs.
func (r *roster) busy() bool {
	for _, p := range r.lanes {
		if p.jobs > 0 {
			return true
		}
	}
	return false
}

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
}

// place is a lane in the roster.
type place struct {
	lane schemas.Lane
	jobs uint64
	// consumer: the lane has one. offered: workers may ask it.
	consumer, offered bool
	// since is when the lane got its consumer, or when it began to wait for one.
	since time.Time
	// empty is since when a lane with a consumer holds no job; zero while it does.
	empty time.Time
	shut  shutness
	// stuck: the consumer believes messages settled that the lane still holds.
	stuck bool
	// failures count the tries to make the consumer that failed in a row; again is
	// when the next may be, and reason why the last one failed.
	failures int
	again    time.Time
	reason   string
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
		p.jobs, p.empty = jobs, time.Time{}
	}
	for lane, p := range r.lanes {
		if _, holds := found[lane]; holds {
			continue
		}
		if !p.consumer {
			delete(r.lanes, lane)
			continue
		}
		if p.jobs = 0; p.empty.IsZero() {
			p.empty = now
		}
	}
}

// arrived takes in that a lane has a new job.
func (r *roster) arrived(lane schemas.Lane, now time.Time) {
	p := r.get(lane, now)
	p.jobs, p.empty = p.jobs+1, time.Time{}
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
	p.failures, p.again, p.reason = 0, time.Time{}, ""
}

// failed notes that no consumer could be made, and why.
func (r *roster) failed(lane schemas.Lane, reason string, now time.Time) {
	p := r.get(lane, now)
	wait := min(firstMakeWait<<min(p.failures, 10), longestMakeWait)
	p.failures, p.again, p.reason = p.failures+1, now.Add(wait), reason
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

// plan decides what is to be done now, after shut has told of each lane.
func (r *roster) plan(shut func(schemas.Lane) shutness, now time.Time) steps {
	var waiting, serving []*place
	used := 0
	for _, p := range r.lanes {
		p.shut = shut(p.lane)
		switch {
		case p.consumer:
			used++
			serving = append(serving, p)
		case p.jobs > 0 && p.shut == laneOpen:
			waiting = append(waiting, p)
		}
	}
	ready := slices.DeleteFunc(slices.Clone(waiting), func(p *place) bool { return now.Before(p.again) })
	out := steps{scarce: len(ready) > r.most-used}
	need := len(ready) - max(r.most-used, 0)
	slices.SortFunc(serving, func(a, b *place) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.lane.Name(), b.lane.Name()))
	})
	for _, p := range serving {
		p.offered = p.shut == laneOpen && !p.stuck
		switch {
		case p.jobs == 0 && (out.scarce || now.Sub(p.empty) >= r.idle) && !p.empty.IsZero():
			p.offered = false
		case out.scarce && need > 0 && now.Sub(p.since) >= r.turn:
			p.offered = false
		}
		if !p.offered {
			out.free = append(out.free, p.lane)
			need--
		}
	}
	out.make = firstOf(ready, r.most-used)
	return out
}

// firstOf picks n of the lanes that wait: four live ones for each of backfill, those
// that have waited longest first.
func firstOf(waiting []*place, n int) []schemas.Lane {
	n = min(max(n, 0), len(waiting))
	slices.SortFunc(waiting, func(a, b *place) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.lane.Name(), b.lane.Name()))
	})
	var classes [2][]schemas.Lane
	for _, p := range waiting {
		class := 0
		if p.lane.Class == schemas.Backfill {
			class = 1
		}
		classes[class] = append(classes[class], p.lane)
	}
	picked := make([]schemas.Lane, 0, n)
	for i := 0; len(picked) < n; i++ {
		class := 0
		if i%5 == 4 || len(classes[0]) == 0 {
			class = 1
		}
		if len(classes[class]) == 0 {
			class = 0
		}
		picked = append(picked, classes[class][0])
		classes[class] = classes[class][1:]
	}
	return picked
}

// offers are the lanes that workers may ask, with the jobs they hold, and those that
// somebody is to probe.
func (r *roster) offers() (ask, probe map[schemas.Lane]uint64) {
	ask, probe = map[schemas.Lane]uint64{}, map[schemas.Lane]uint64{}
	for lane, p := range r.lanes {
		switch {
		case p.offered:
			ask[lane] = p.jobs
		case p.jobs > 0 && p.shut == laneProbeDue && len(probe) < r.most:
			probe[lane] = p.jobs
		}
	}
	return ask, probe
}

// unserved are the lanes that hold jobs which nobody can take, although nothing is
// wrong with their destinations, and why.
func (r *roster) unserved() map[schemas.Lane]string {
	all := map[schemas.Lane]string{}
	for lane, p := range r.lanes {
		if p.consumer || p.jobs == 0 || p.shut != laneOpen {
			continue
		}
		all[lane] = cmp.Or(p.reason, reasonTurn)
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

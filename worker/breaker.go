package worker

import (
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// breakers are what this worker knows of lanes that are shut or might have to
// be. They decide what is to be written to the fleet's knowledge and do nothing;
// they are not safe for concurrent use.
//
// A lane's breaker opens after the faults of several jobs in a row. When its
// wait is over, one worker of the fleet, which has written its name into the
// state, takes one job. If that is answered the breaker is removed; if not, the
// wait begins again, longer.
type breakers struct {
	name    string
	backoff Backoff
	all     map[schemas.Lane]*breaker
}

// breaker is one lane's.
type breaker struct {
	state   LaneState
	strikes strikes
	// number counts the openings and closings seen.
	number int
	// writing: a change, doing, is on its way to the fleet; next waits for its
	// end.
	writing     bool
	doing, next change
	// unsure: a write failed, and what the fleet agreed on is not known.
	unsure bool
	// probes counts the jobs in hand that this worker took as probes.
	probes int
	// latest is when the breaker's wait, or its probing, is over whatever it says
	// itself, which is by the clock of the worker that wrote it: that may be wrong,
	// or set back since.
	latest time.Time
}

// change is what is to become of a state; false where it no longer applies.
type change func(LaneState) (LaneState, bool)

// strikesOfALane is how many different jobs must fail in a row.
const strikesOfALane = 3

// probeTime is how long a prober owns its lane without a renewal.
const probeTime = time.Minute

// turnTime is how long a lane waits for a worker with a free slot to probe it,
// and then how long one without may keep it while it waits for its turn.
const turnTime = 5 * time.Second

func newBreakers(name string, b Backoff) *breakers {
	return &breakers{name: name, backoff: b, all: map[schemas.Lane]*breaker{}}
}

func (b *breakers) get(lane schemas.Lane) *breaker {
	one := b.all[lane]
	if one == nil {
		one = &breaker{state: LaneState{Lane: lane}}
		b.all[lane] = one
	}
	return one
}

// forget drops what is known of a lane that holds no job, where that says nothing;
// idle says that nothing of it is in hand.
func (b *breakers) forget(lane schemas.Lane, idle bool) {
	one := b.all[lane]
	if one != nil && idle && one.state.Empty() && !one.writing && one.next == nil && one.probes == 0 && !one.unsure {
		delete(b.all, lane)
	}
}

// number is what a ticket of the lane carries.
func (b *breakers) number(lane schemas.Lane) int {
	if one := b.all[lane]; one != nil {
		return one.number
	}
	return 0
}

// flow is what the states say of taking jobs of the lane.
func (b *breakers) flow(lane schemas.Lane, now time.Time) (shut, probing bool, limit int) {
	one := b.all[lane]
	if one == nil {
		return false, false, 0
	}
	s := one.state
	switch {
	case one.paused(now) || s.Breaker != nil && s.Breaker.Prober == "" && !one.over(now):
		return true, false, s.Limit
	case s.Breaker == nil:
		return false, false, s.Limit
	}
	// Nobody takes a job that is not the probe, also when the wait is over.
	mine := s.Breaker.Prober == b.name && !one.writing && !one.unsure
	return !mine, mine, s.Limit
}

// heard takes in a state that the fleet agreed on. It tells whether that closed
// the breaker, and what is to be written now.
func (b *breakers) heard(s LaneState, now time.Time) (closed bool, put *LaneState) {
	one := b.get(s.Lane)
	if s.Revision != 0 && s.Revision < one.state.Revision {
		return false, nil
	}
	closed, one.unsure = b.take(one, s, now), false
	if one.writing {
		return closed, nil
	}
	return closed, b.follow(one, now)
}

// take replaces the state; true where it had a breaker and has none.
func (b *breakers) take(one *breaker, s LaneState, now time.Time) (closed bool) {
	had, has := one.state.Breaker != nil, s.Breaker != nil
	if has && (!had || !s.Breaker.Until.Equal(one.state.Breaker.Until)) {
		one.latest = now.Add(max(b.backoff.longestRest(), probeTime))
	}
	if had != has {
		one.number++
		one.strikes.clear()
	}
	one.state = s
	return had && !has
}

// paused tells whether an operator keeps the lane shut.
func (one *breaker) paused(now time.Time) bool {
	return one.state.Pause != nil && now.Before(one.state.Pause.Until)
}

// over tells whether the breaker's wait, or somebody's probing, is over.
func (one *breaker) over(now time.Time) bool {
	return !now.Before(one.state.Breaker.Until) || !now.Before(one.latest)
}

// wrote takes in what came of a write.
func (b *breakers) wrote(s LaneState, err error, now time.Time) (put *LaneState) {
	one := b.get(s.Lane)
	one.writing, one.unsure = false, err != nil
	switch {
	case err == nil && s.Revision >= one.state.Revision:
		b.take(one, s, now)
	case errors.Is(err, ErrChanged):
		// Somebody else was faster. What is still to be done is done to what they
		// wrote, once that has been heard.
		if one.next == nil {
			one.next = one.doing
		}
		if one.state.Revision <= s.Revision {
			return nil
		}
	}
	return b.follow(one, now)
}

// follow makes the change that waited.
func (b *breakers) follow(one *breaker, now time.Time) *LaneState {
	c := one.next
	one.next = nil
	if c == nil {
		return nil
	}
	return b.change(one, c, now)
}

// change gives the state to write. The worker itself obeys it from now on.
func (b *breakers) change(one *breaker, c change, now time.Time) *LaneState {
	if one.writing {
		one.next = c
		return nil
	}
	s, ok := c(one.state)
	if !ok {
		return nil
	}
	one.writing, one.doing, one.next = true, c, nil
	b.take(one, s, now)
	return &s
}

// ended takes in what a job of the lane met.
func (b *breakers) ended(t *ticket, now time.Time, jitter float64) (put *LaneState) {
	one, e := b.get(t.lane), t.ending
	if t.laneProbe {
		one.probes--
	}
	if t.laneProbe && t.breaker == one.number && one.state.Breaker != nil && one.state.Breaker.Prober == b.name {
		return b.change(one, b.probed(e, now, jitter), now)
	}
	switch {
	case t.breaker != one.number || one.state.Breaker != nil:
		return nil
	case e.verdict == well:
		one.strikes.clear()
		return nil
	case e.verdict == silent || !e.ofLane():
		return nil
	case !one.strikes.add(e.job, strikesOfALane) && e.after == 0:
		return nil
	}
	return b.change(one, func(s LaneState) (LaneState, bool) {
		if s.Breaker != nil {
			return s, false
		}
		s.Breaker = &Breaker{Since: now.UTC()}
		return b.open(s, e, now, jitter), true
	}, now)
}

// open begins a wait.
func (b *breakers) open(s LaneState, e ending, now time.Time, jitter float64) LaneState {
	next := *s.Breaker
	next.Opened++
	next.Until = now.Add(b.backoff.rest(next.Opened, jitter, e.after)).UTC()
	next.Reason, next.Prober = e.reason, ""
	s.Breaker = &next
	return s
}

// probed is what the end of a probe changes.
func (b *breakers) probed(e ending, now time.Time, jitter float64) change {
	return b.asProber(func(s LaneState) LaneState {
		switch {
		case e.verdict == well:
			s.Breaker = nil
		case e.verdict == badly && e.scope == fault.Ledger:
			s.Breaker = waiting(*s.Breaker, now.Add(b.backoff.First))
		case e.verdict == badly:
			// Whatever it was, the next job would most likely meet it too.
			return b.open(s, e, now, jitter)
		default:
			s.Breaker = waiting(*s.Breaker, now)
		}
		return s
	})
}

// vain gives up a probe for which no job came.
func (b *breakers) vain(lane schemas.Lane, now time.Time) *LaneState {
	return b.change(b.get(lane), b.asProber(func(s LaneState) LaneState {
		s.Breaker = waiting(*s.Breaker, now.Add(b.backoff.First))
		return s
	}), now)
}

func (b *breakers) asProber(c func(LaneState) LaneState) change {
	return func(s LaneState) (LaneState, bool) {
		if s.Breaker == nil || s.Breaker.Prober != b.name {
			return s, false
		}
		return c(s), true
	}
}

// waiting is a breaker that anybody may probe from until on.
func waiting(br Breaker, until time.Time) *Breaker {
	br.Prober, br.Until = "", until.UTC()
	return &br
}

// started notes that a job of the lane was taken as a probe.
func (b *breakers) started(lane schemas.Lane) { b.get(lane).probes++ }

// claimed tells whether this worker has said that it would probe the lane and has
// no job for it yet.
func (b *breakers) claimed(lane schemas.Lane) bool {
	one := b.all[lane]
	return one != nil && one.probes == 0 && !one.writing && one.state.Breaker != nil && one.state.Breaker.Prober == b.name
}

// due asks for the probing of a lane, where its time has come and this worker
// may take a job of it now, and renews a probing of this worker that still goes on.
func (b *breakers) due(lane schemas.Lane, may bool, now time.Time) *LaneState {
	one := b.all[lane]
	if one == nil || one.state.Breaker == nil || one.writing {
		return nil
	}
	br := *one.state.Breaker
	switch {
	case br.Prober == b.name && one.probes > 0:
		if br.Until.Sub(now) > probeTime/2 {
			return nil
		}
	case !one.over(now) || one.paused(now) || !may:
		return nil
	}
	return b.change(one, func(s LaneState) (LaneState, bool) {
		if s.Breaker == nil || s.Breaker.Prober != br.Prober {
			return s, false
		}
		next := *s.Breaker
		next.Prober, next.Until = b.name, now.Add(probeTime).UTC()
		s.Breaker = &next
		return s, true
	}, now)
}

// waits tells whether a lane waits for somebody to probe it.
func (b *breakers) waits(lane schemas.Lane, now time.Time) bool {
	one := b.all[lane]
	return one != nil && one.state.Breaker != nil && one.over(now) && !one.paused(now)
}

// pressing tells whether a lane has waited so long for somebody to probe it that
// a worker without a free slot may claim it too, or was claimed by this one so
// lately that its turn may still come.
func (b *breakers) pressing(lane schemas.Lane, now time.Time) bool {
	one := b.all[lane]
	switch {
	case one == nil || one.state.Breaker == nil:
		return false
	case one.state.Breaker.Prober == b.name:
		return one.state.Breaker.Until.Sub(now) > probeTime-turnTime
	}
	return one.over(now.Add(-turnTime))
}

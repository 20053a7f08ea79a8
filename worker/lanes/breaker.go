package lanes

import (
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// breakers are what this worker knows of lanes that are shut or might have to
// be. They decide what is to be written to the fleet's knowledge.
//
// A lane's breaker opens after the faults of several jobs between which no job
// went well. When its wait is over, one worker of the fleet, which has written
// its name into the state, takes one job. If that is answered the breaker is
// removed; if not, the wait begins again, longer.
type breakers struct {
	name    string
	backoff Backoff
	all     map[schemas.Lane]*breaker
}

// breaker is one lane's.
type breaker struct {
	state State
	seen  evidence
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
type change func(State) (State, bool)

func newBreakers(name string, b Backoff) *breakers {
	return &breakers{name: name, backoff: b, all: map[schemas.Lane]*breaker{}}
}

func (b *breakers) get(lane schemas.Lane) *breaker {
	one := b.all[lane]
	if one == nil {
		one = &breaker{state: State{Lane: lane}}
		b.all[lane] = one
	}
	return one
}

// forget drops what is known of a lane that holds no job, where that says nothing;
// idle says that nothing of it is in hand. What jobs met that come back by their
// schedules is kept for a while.
func (b *breakers) forget(lane schemas.Lane, idle bool, now time.Time) {
	one := b.all[lane]
	if one != nil && one.seen.failed && now.Sub(one.seen.failedAt) < evidenceAge {
		return
	}
	if one != nil && idle && one.state.Empty() && !one.writing && one.next == nil && one.probes == 0 && !one.unsure {
		delete(b.all, lane)
	}
}

// begin fills in what a slot of the lane carries.
func (b *breakers) begin(s *Slot) {
	s.Repeats = true
	if one := b.all[s.Lane]; one != nil {
		s.breaker, s.accepted, s.Repeats = one.number, one.seen.accepted, one.seen.repeats()
	}
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
	// Only the probe may be taken, also when the wait is over.
	mine := s.Breaker.Prober == b.name && !one.writing && !one.unsure
	return !mine, mine, s.Limit
}

// heard takes in a state that the fleet agreed on. It reports whether that closed
// the breaker, and what is to be written now.
func (b *breakers) heard(s State, now time.Time) (closed bool, put *State) {
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
func (b *breakers) take(one *breaker, s State, now time.Time) (closed bool) {
	had, has := one.state.Breaker != nil, s.Breaker != nil
	if has && (!had || !s.Breaker.Until.Equal(one.state.Breaker.Until)) {
		one.latest = now.Add(max(b.backoff.longestRest(), probeTime))
	}
	if had != has {
		one.number++
		one.seen.streak.clear()
		one.seen.refusals.clear()
	}
	one.state = s
	return had && !has
}

// paused reports whether an operator keeps the lane shut.
func (one *breaker) paused(now time.Time) bool {
	return one.state.Pause != nil && now.Before(one.state.Pause.Until)
}

// over reports whether the breaker's wait, or somebody's probing, is over.
func (one *breaker) over(now time.Time) bool {
	return !now.Before(one.state.Breaker.Until) || !now.Before(one.latest)
}

// wrote takes in what came of a write.
func (b *breakers) wrote(s State, err error, now time.Time) (put *State) {
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
func (b *breakers) follow(one *breaker, now time.Time) *State {
	c := one.next
	one.next = nil
	if c == nil {
		return nil
	}
	return b.change(one, c, now)
}

// change gives the state to write. The worker itself obeys it from now on.
func (b *breakers) change(one *breaker, c change, now time.Time) *State {
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
func (b *breakers) ended(s *Slot, r Result, now time.Time, jitter float64) (put *State) {
	one := b.get(s.Lane)
	if s.laneProbe {
		one.probes--
	}
	if s.laneProbe && s.breaker == one.number && one.state.Breaker != nil && one.state.Breaker.Prober == b.name {
		return b.change(one, b.probed(r, now, jitter), now)
	}
	if r.Health == Failing {
		one.seen.failedAt = now
	}
	if s.breaker != one.number || one.state.Breaker != nil || !one.seen.opens(s, r) {
		return nil
	}
	return b.change(one, func(s State) (State, bool) {
		if s.Breaker != nil {
			return s, false
		}
		s.Breaker = &Breaker{Since: now.UTC()}
		return b.open(s, r, now, jitter), true
	}, now)
}

// open begins a wait.
func (b *breakers) open(s State, r Result, now time.Time, jitter float64) State {
	next := *s.Breaker
	next.Opened++
	next.Until = now.Add(b.backoff.rest(next.Opened, jitter, r.After)).UTC()
	next.Reason, next.Prober = r.Reason, ""
	s.Breaker = &next
	return s
}

// probed is what the end of a probe changes.
func (b *breakers) probed(r Result, now time.Time, jitter float64) change {
	return b.asProber(func(s State) State {
		again := r.Refused && r.Reason.Code == s.Breaker.Reason.Code
		switch {
		case r.Health == Healthy && !again:
			s.Breaker = nil
		case r.Health == Failing && (r.Scope == fault.Ledger || r.Returning && !r.Limited && r.After == 0):
			// It says nothing, or nothing of other jobs: another one may tell soon.
			s.Breaker = waiting(*s.Breaker, now.Add(b.backoff.First))
		case r.Health == Failing, again:
			// Whatever it was, the next job would most likely meet it too.
			return b.open(s, r, now, jitter)
		default:
			s.Breaker = waiting(*s.Breaker, now)
		}
		return s
	})
}

func (b *breakers) asProber(c func(State) State) change {
	return func(s State) (State, bool) {
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

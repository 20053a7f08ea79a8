package lanes

import (
	"time"

	"github.com/chartpost/chartpost/schemas"
)

const (
	// probeTime is how long a prober owns its lane without a renewal.
	probeTime = time.Minute
	// turnTime is how long a lane waits for a worker with a free slot to probe it,
	// and then how long one without may keep it while it waits for its turn.
	turnTime = 5 * time.Second
)

// giveUpProbe gives up a probe for which no job came.
func (b *breakers) giveUpProbe(lane schemas.Lane, now time.Time) *State {
	return b.change(b.get(lane), b.asProber(func(s State) State {
		s.Breaker = waiting(*s.Breaker, now.Add(b.backoff.First))
		return s
	}), now)
}

// started notes that a job of the lane was taken as a probe.
func (b *breakers) started(lane schemas.Lane) { b.get(lane).probes++ }

// probeClaimed reports whether this worker has said that it would probe the lane
// and has no job for it yet.
func (b *breakers) probeClaimed(lane schemas.Lane) bool {
	one := b.all[lane]
	return one != nil && one.probes == 0 && !one.writing && one.state.Breaker != nil && one.state.Breaker.Prober == b.name
}

// due asks for the probing of a lane, where its time has come and this worker
// may take a job of it now, and renews a probing of this worker that still goes on.
func (b *breakers) due(lane schemas.Lane, may bool, now time.Time) *State {
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
	return b.change(one, func(s State) (State, bool) {
		if s.Breaker == nil || s.Breaker.Prober != br.Prober {
			return s, false
		}
		next := *s.Breaker
		next.Prober, next.Until = b.name, now.Add(probeTime).UTC()
		s.Breaker = &next
		return s, true
	}, now)
}

// end closes a breaker whose wait has been over for rest and of which no job
// waits: there is nothing to probe the lane with, and nothing to keep from it.
func (b *breakers) end(lane schemas.Lane, rest time.Duration, now time.Time) *State {
	one := b.all[lane]
	if one == nil || one.state.Breaker == nil || one.writing || one.probes > 0 || one.paused(now) || !one.over(now.Add(-rest)) {
		return nil
	}
	br := *one.state.Breaker
	return b.change(one, func(s State) (State, bool) {
		if s.Breaker == nil || s.Breaker.Prober != br.Prober || !s.Breaker.Until.Equal(br.Until) {
			return s, false
		}
		s.Breaker = nil
		return s, true
	}, now)
}

// waits reports whether a lane waits for somebody to probe it.
func (b *breakers) waits(lane schemas.Lane, now time.Time) bool {
	one := b.all[lane]
	return one != nil && one.state.Breaker != nil && one.over(now) && !one.paused(now)
}

// overdue reports whether a lane has waited so long for somebody to probe it that
// a worker without a free slot may claim it too, or was claimed by this one so
// lately that its turn may still come.
func (b *breakers) overdue(lane schemas.Lane, now time.Time) bool {
	one := b.all[lane]
	switch {
	case one == nil || one.state.Breaker == nil:
		return false
	case one.state.Breaker.Prober == b.name:
		return one.state.Breaker.Until.Sub(now) > probeTime-turnTime
	}
	return one.over(now.Add(-turnTime))
}

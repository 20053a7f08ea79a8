package worker

import (
	"context"
	"errors"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// written is what came of a write of a lane's state.
type written struct {
	state LaneState
	err   error
}

// writeTime bounds the write of a lane's state. It outlasts an election.
const writeTime = 15 * time.Second

// tend does what time brings: the gate lets a job through, lanes may be probed,
// waits are over.
func (d *dispatcher) tend() {
	now := d.now()
	d.gate.tick(now)
	d.steerAll()
	d.due = 0
	for lane := range d.breakers.all {
		if lane.Class == schemas.Backfill && d.probeable(lane) && d.breakers.waits(lane, now) {
			d.due++
		}
		may := d.mayProbe(lane, now)
		if one := d.lanes.all[lane]; d.breakers.claimed(lane) && !may && (one == nil || !one.asking) {
			d.put(d.breakers.vain(lane, now))
		}
		d.put(d.breakers.due(lane, may, now))
		d.steer(lane)
	}
}

// mayProbe tells whether a job of the lane could be taken now: a worker that
// cannot must not keep others from probing. But where every worker is busy with
// other lanes, none ever sees a free slot here: each is promised before. There
// one whose slots do come free takes the lane's turn for the next.
func (d *dispatcher) mayProbe(lane schemas.Lane, now time.Time) bool {
	switch {
	case !d.probeable(lane):
		return false
	case !d.lanes.full() && d.lanes.longMay(d.lanes.all[lane]):
		return true
	case lane.Class == schemas.Backfill && d.budget.Room() == 0:
		return false
	}
	return now.Sub(d.freed) < turnTime && d.breakers.pressing(lane, now)
}

// probeable tells whether there is a job to probe the lane with. Jobs from before
// the lane was shut would stand in the probe's place.
func (d *dispatcher) probeable(lane schemas.Lane) bool {
	one := d.lanes.all[lane]
	return one != nil && one.inHand == 0 && one.doubts.jobs > 0 && !d.gate.shut()
}

// steer makes the lanes obey what is known of one.
func (d *dispatcher) steer(lane schemas.Lane) {
	shut, probing, limit := d.breakers.flow(lane, d.now())
	if shut || probing || limit > 0 || d.lanes.all[lane] != nil {
		d.lanes.steer(lane, shut, probing, limit)
	}
}

// steerAll applies the gate, and tells those who watch.
func (d *dispatcher) steerAll() {
	d.lanes.allowed = d.gate.allowed
	var shut *Shut
	if d.gate.shut() {
		shut = &Shut{Reason: d.gate.reason, Until: d.gate.until}
	}
	d.shut.Store(shut)
}

// ended books the end of a job, and what it says of the world.
func (d *dispatcher) ended(t *ticket) {
	t.over = true
	d.lanes.finished(t)
	now, jitter := d.now(), d.jitter()
	d.freed = now
	if d.gate.ended(t, now, jitter) {
		d.log.Warn("no jobs are taken: something that every job needs has failed",
			"scope", t.ending.scope, "code", t.ending.reason.Code, "text", t.ending.reason.Text, "until", d.gate.until)
	}
	d.steerAll()
	if t.lane.Stray() {
		return // what is refused unread says nothing of a destination
	}
	if put := d.breakers.ended(t, now, jitter); put != nil {
		d.tell(*put, now)
		d.put(put)
	}
	d.steer(t.lane)
}

// tell logs what is about to be written of a lane.
func (d *dispatcher) tell(s LaneState, now time.Time) {
	log := d.log.With("class", s.Lane.Class, "destination", s.Lane.Destination)
	switch br := s.Breaker; {
	case br == nil:
		log.Info("the lane is open again")
	case br.Until.After(now):
		log.Warn("the lane is shut: its destination fails", "code", br.Reason.Code, "text", br.Reason.Text, "until", br.Until, "opened", br.Opened)
	}
}

// unfilled gives up a probe for which no job came.
func (d *dispatcher) unfilled(a Answer) {
	_, probing, _ := d.breakers.flow(a.Lane, d.now())
	if one := d.lanes.all[a.Lane]; !probing || one != nil && (one.inHand > 0 || one.asking) {
		return
	}
	d.put(d.breakers.vain(a.Lane, d.now()))
	d.steer(a.Lane)
}

// learn takes in a state that the fleet agreed on.
func (d *dispatcher) learn(s LaneState) {
	closed, put := d.breakers.heard(s, d.now())
	if closed {
		d.lanes.reopened(s.Lane)
	}
	d.put(put)
	d.steer(s.Lane)
}

// written takes in what came of a write of our own.
func (d *dispatcher) written(r written) {
	d.writes--
	if r.err != nil && !errors.Is(r.err, ErrChanged) {
		d.log.Warn("a lane's state could not be written", "class", r.state.Lane.Class, "destination", r.state.Lane.Destination, "error", r.err)
	}
	put := d.breakers.wrote(r.state, r.err, d.now())
	if r.err == nil && r.state.Breaker == nil {
		d.lanes.reopened(r.state.Lane)
	}
	d.put(put)
	d.steer(r.state.Lane)
}

// put writes a state beside the loop.
func (d *dispatcher) put(s *LaneState) {
	if s == nil {
		return
	}
	d.writes++
	go func() {
		ctx, cancel := context.WithTimeout(d.end, writeTime)
		defer cancel()
		after, err := d.control.Put(ctx, *s)
		d.wrote <- written{after, err}
	}()
}

// unclaim lets others probe what this worker will not probe any more.
func (d *dispatcher) unclaim() {
	for lane := range d.breakers.all {
		if d.breakers.claimed(lane) {
			d.put(d.breakers.vain(lane, d.now()))
		}
	}
}

package worker

import (
	"context"
	"errors"
	"time"
)

// written is what came of a write of a lane's state.
type written struct {
	state LaneState
	err   error
}

// writeTime bounds the write of a lane's state. It outlasts an election.
const writeTime = 15 * time.Second

// ended takes in the end of a job.
func (d *dispatcher) ended(e ended) {
	now := d.now()
	notice := d.table.Ended(e.slot, e.result, now, d.jitter())
	if notice.GateShut {
		reason, until, _ := d.table.GateShut()
		d.log.Warn("no jobs are taken: something that every job needs has failed",
			"scope", e.result.Scope, "code", reason.Code, "text", reason.Text, "until", until)
	}
	d.tellGate()
	if notice.Lane != nil {
		d.tell(*notice.Lane, now)
	}
}

// tellGate tells those who watch whether jobs are taken at all.
func (d *dispatcher) tellGate() {
	var shut *Shut
	if reason, until, is := d.table.GateShut(); is {
		shut = &Shut{Reason: reason, Until: until}
	}
	d.shut.Store(shut)
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

// written takes in what came of a write of our own.
func (d *dispatcher) written(r written) {
	d.writes--
	if r.err != nil && !errors.Is(r.err, ErrChanged) {
		d.log.Warn("a lane's state could not be written", "class", r.state.Lane.Class, "destination", r.state.Lane.Destination, "error", r.err)
	}
	d.table.Wrote(r.state, r.err, d.now())
}

// write writes the states that are to be written, beside the loop.
func (d *dispatcher) write() {
	for _, s := range d.table.Writes() {
		d.writes++
		go func() {
			ctx, cancel := context.WithTimeout(d.end, writeTime)
			defer cancel()
			after, err := d.control.Put(ctx, s)
			d.wrote <- written{after, err}
		}()
	}
}

package worker

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// dispatcher is the worker's one loop: it owns the lanes and the slots.
type dispatcher struct {
	*Worker
	lanes    *lanes
	finished chan schemas.Lane
	// looking is true while a listing of lanes is under way; listed brings it.
	looking bool
	listed  chan seen
	// complained is when a fault of a listing was last logged: one that stays is
	// said once a minute.
	complained time.Time
}

// seen is what a listing of lanes brought.
type seen struct {
	depths []Depth
	err    error
}

// run asks and starts jobs until ctx ends. Jobs run on working, which outlives
// ctx by the grace time.
func (d *dispatcher) run(ctx, working context.Context) {
	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	d.look(ctx)
	for {
		d.ask()
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			d.look(ctx)
		case s := <-d.listed:
			d.note(s)
		case lane := <-d.finished:
			d.lanes.finished(lane)
		case a := <-d.intake.Answers():
			d.answer(working, a)
		}
	}
}

// look lists the lanes beside the loop: it may take seconds while a leader is
// elected.
func (d *dispatcher) look(ctx context.Context) {
	if d.looking {
		return
	}
	d.looking = true
	go func() {
		depths, err := d.intake.Lanes(ctx)
		d.listed <- seen{depths, err}
	}()
}

func (d *dispatcher) note(s seen) {
	d.looking = false
	d.complain(s.err)
	held := make(map[schemas.Lane]bool, len(s.depths))
	for _, depth := range s.depths {
		if _, known := d.lanes.all[depth.Lane]; !known {
			d.log.Info("lane opened", "class", depth.Lane.Class, "destination", depth.Lane.Destination)
		}
		d.lanes.seen(depth.Lane, depth.Jobs)
		held[depth.Lane] = true
	}
	if s.err != nil {
		return
	}
	for name := range d.lanes.all {
		if !held[name] {
			d.lanes.unseen(name)
		}
	}
}

// complain logs a fault of a listing, once a minute.
func (d *dispatcher) complain(err error) {
	if err == nil {
		d.complained = time.Time{}
		return
	}
	if now := d.now(); now.Sub(d.complained) >= time.Minute {
		d.complained = now
		d.log.Warn("listing the lanes", "error", err)
	}
}

func (d *dispatcher) ask() {
	for _, o := range d.lanes.orders() {
		wait := shortWait
		if o.long {
			wait = longWait
		}
		if _, err := d.intake.Ask(o.lane, o.n, wait); err != nil {
			d.log.Warn("asking for jobs", "class", o.lane.Class, "destination", o.lane.Destination, "error", err)
			d.lanes.refused(o.lane)
		}
	}
}

func (d *dispatcher) answer(working context.Context, a Answer) {
	switch {
	case a.Refused:
		d.lanes.refused(a.Lane)
		return
	case a.Done:
		d.lanes.answered(a.Lane, a.Unfilled)
		return
	}
	if !d.lanes.arrived(a.Lane, a.Delivery.Pending()) {
		d.returnAtOnce(a.Delivery)
		return
	}
	go func() {
		d.handle(working, a.Delivery)
		d.finished <- a.Lane
	}()
}

// returnAtOnce hands a job on to whoever has a slot. It comes from a long ask
// that was still open when the last slot was taken.
func (d *dispatcher) returnAtOnce(delivery Delivery) {
	if err := delivery.GiveBack(0); err != nil {
		d.log.Warn("a job could not be given back; it returns when its lease ends", "error", err)
	}
}

// finish waits for the jobs in hand; when the grace time is over it interrupts
// them and waits for what is left to be given back. It returns when the intake
// has stopped too, and no listing is under way.
func (d *dispatcher) finish(interrupt func(), stopped <-chan struct{}) {
	grace := time.NewTimer(d.settings.Grace)
	defer grace.Stop()
	for d.lanes.inHand > 0 || stopped != nil || d.looking {
		select {
		case lane := <-d.finished:
			d.lanes.finished(lane)
		case a := <-d.intake.Answers():
			if !a.Done {
				d.returnAtOnce(a.Delivery)
			}
		case <-stopped:
			stopped = nil
		case <-d.listed:
			d.looking = false
		case <-grace.C:
			d.log.Warn("the grace time is over; jobs in hand are given back", "in_hand", d.lanes.inHand)
			interrupt()
		}
	}
}

package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// dispatcher is the worker's one loop: it owns the lanes, their breakers and
// the slots.
type dispatcher struct {
	*Worker
	lanes    *lanes
	gate     *gate
	breakers *breakers
	// end is when a worker that stops writes nothing any more.
	end      context.Context
	finished chan *ticket
	crew     crew
	// slow brings jobs that only wait.
	slow chan wait
	// heard brings what the fleet agreed on, wrote what came of our own writes.
	heard  chan LaneState
	wrote  chan written
	writes int
	// freed is when a job last ended.
	freed time.Time
	// unpaid counts the backfill jobs that were taken and have not yet used the
	// room in the budget they were taken for.
	unpaid atomic.Int64
	// due counts the backfill lanes that somebody should probe: none of their
	// jobs can be taken before, and without one that is wanted the budget grants
	// nothing.
	due    int
	wanted int
}

func newDispatcher(w *Worker, end context.Context) *dispatcher {
	return &dispatcher{
		Worker: w, end: end, lanes: newLanes(w.settings.Slots, w.settings.LaneConcurrency),
		gate: newGate(w.settings.Slots, w.settings.Backoff), breakers: newBreakers(w.name, w.settings.Backoff),
		crew: newCrew(), finished: make(chan *ticket), slow: make(chan wait),
		heard: make(chan LaneState), wrote: make(chan written),
	}
}

// run asks and starts jobs until ctx ends. Jobs run on working, which outlives
// ctx by the grace time.
func (d *dispatcher) run(ctx, working context.Context) {
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	for {
		d.turned.Store(d.now().UnixNano())
		d.ask()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.note(d.intake.Offer())
			d.tend()
		case <-d.intake.Offered():
			d.note(d.intake.Offer())
		case t := <-d.finished:
			d.ended(t)
		case s := <-d.slow:
			d.park(s)
		case s := <-d.heard:
			d.learn(s)
		case r := <-d.wrote:
			d.written(r)
		case <-d.budget.Changed():
		case reply := <-d.asked:
			d.lookAt(reply)
		case a := <-d.intake.Answers():
			d.answer(working, a)
		}
	}
}

// note takes in which lanes can be asked, and forgets the others.
func (d *dispatcher) note(o Offer) {
	d.lanes.scarce = o.Scarce
	offered := make(map[schemas.Lane]bool, len(o.Lanes))
	for _, depth := range o.Lanes {
		d.lanes.seen(depth)
		d.steer(depth.Lane)
		offered[depth.Lane] = true
	}
	for name := range d.lanes.all {
		if !offered[name] {
			d.lanes.unseen(name)
			d.breakers.forget(name, d.lanes.all[name] == nil)
		}
	}
}

// pace lets as many backfill jobs in as the budget has room for.
func (d *dispatcher) pace() {
	d.lanes.paced = max(d.budget.Room()-d.lanes.backfills-int(d.unpaid.Load()), 0)
	if want := d.lanes.backlog() + d.due + int(d.unpaid.Load()); want != d.wanted {
		d.wanted = want
		d.budget.Want(want)
	}
}

func (d *dispatcher) ask() {
	d.pace()
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
		d.unfilled(a)
		return
	case a.Done:
		d.lanes.answered(a.Lane, a.Unfilled)
		d.unfilled(a)
		return
	}
	if !d.lanes.arrived(a.Lane, a.Delivery.Pending()) {
		d.returnAtOnce(a.Delivery)
		return
	}
	d.start(working, a)
}

// start works on a job beside the loop. A message that has left and brings no
// answer for a while makes the job known as slow, and so does a backfill job's
// wait for the budget: live jobs use the same slots.
func (d *dispatcher) start(working context.Context, a Answer) {
	_, probing, _ := d.breakers.flow(a.Lane, d.now())
	gateProbe := d.gate.probing()
	if probing {
		d.breakers.started(a.Lane)
	}
	t := &ticket{
		lane: a.Lane, laneProbe: probing,
		gate: d.gate.number, breaker: d.breakers.number(a.Lane),
	}
	over := make(chan struct{})
	var timer atomic.Pointer[time.Timer]
	still := func(next *time.Timer) {
		if old := timer.Swap(next); old != nil {
			old.Stop()
		}
	}
	waits := func(answer bool) {
		still(time.AfterFunc(slowAfter, func() {
			select {
			case d.slow <- wait{ticket: t, answer: answer}:
			case <-over:
			}
		}))
	}
	queued, paid := func() {}, func() {}
	if a.Lane.Class == schemas.Backfill {
		d.unpaid.Add(1)
		once := sync.OnceFunc(func() { d.unpaid.Add(-1) })
		queued, paid = func() { waits(false) }, func() { still(nil); once() }
	}
	d.crew.do(func() {
		t.ending = d.handle(working, a.Delivery, sights{
			probe: probing || gateProbe, end: d.end, queued: queued, paid: paid,
			left: func() { waits(true) }, answered: func() { still(nil) },
		})
		paid()
		still(nil)
		close(over)
		d.finished <- t
	})
}

// wait is a job that has been waiting for a while: for its answer, or for the
// budget.
type wait struct {
	*ticket
	answer bool
}

// park frees the slot of a job that only waits: a destination that answers
// slowly, or never, must not keep the others' slots, nor a backfill live's.
func (d *dispatcher) park(w wait) {
	if w.over || w.parked {
		return
	}
	w.parked = d.lanes.park(w.lane, w.answer)
	w.queued = w.parked && !w.answer
}

// returnAtOnce hands a job on to whoever has a slot. It comes from a long ask
// that was still open when the last slot was taken or the lane was shut.
func (d *dispatcher) returnAtOnce(delivery Delivery) {
	if err := delivery.GiveBack(0); err != nil {
		d.log.Warn("a job could not be given back; it returns when its lease ends", "error", err)
	}
}

// finish waits for the jobs in hand; when the grace time is over it interrupts
// them, and cuts them off when their time for last words is over too. It returns
// when the intake has stopped, and no write is under way.
func (d *dispatcher) finish(interrupt, cut func(), stopped <-chan struct{}) {
	grace := time.NewTimer(d.settings.Grace)
	defer grace.Stop()
	last := time.AfterFunc(d.settings.Grace+lastWords, cut)
	defer last.Stop()
	d.unclaim()
	for d.lanes.inHand+d.lanes.parked > 0 || stopped != nil || d.writes > 0 {
		select {
		case t := <-d.finished:
			d.ended(t)
		case s := <-d.slow:
			d.park(s)
		case a := <-d.intake.Answers():
			if !a.Done {
				d.returnAtOnce(a.Delivery)
			}
		case <-stopped:
			stopped = nil
		case s := <-d.heard:
			d.learn(s)
		case r := <-d.wrote:
			d.written(r)
		case reply := <-d.asked:
			d.lookAt(reply)
		case <-grace.C:
			d.log.Warn("the grace time is over; jobs in hand are given back", "in_hand", d.lanes.inHand+d.lanes.parked)
			interrupt()
		}
	}
}

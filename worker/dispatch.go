package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// dispatcher is the worker's one loop: it owns the table of lanes, and does what
// that decides.
type dispatcher struct {
	*Worker
	table *lanes.Table
	// end is when a worker that stops writes nothing any more.
	end      context.Context
	finished chan ended
	crew     crew
	// slow brings jobs that only wait.
	slow chan wait
	// heard brings what the fleet agreed on, wrote what came of our own writes.
	heard  chan LaneState
	wrote  chan written
	writes int
	// unpaid counts the backfill jobs that were taken and have not yet used the
	// room in the budget they were taken for.
	unpaid atomic.Int64
	wanted int
}

// ended is a job that has ended.
type ended struct {
	slot   *lanes.Slot
	result lanes.Result
}

func newDispatcher(w *Worker, end context.Context) *dispatcher {
	return &dispatcher{
		Worker: w, end: end, crew: newCrew(), finished: make(chan ended), slow: make(chan wait),
		heard: make(chan LaneState), wrote: make(chan written),
		table: lanes.New(lanes.Settings{
			Worker: w.name, Slots: w.settings.Slots, Concurrency: w.settings.LaneConcurrency, Backoff: w.settings.Backoff, Spread: w.jitter(),
		}),
	}
}

// run asks and starts jobs until ctx ends. Jobs run on working, which outlives
// ctx by the grace time.
func (d *dispatcher) run(ctx, working context.Context) {
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	for {
		d.turned.Store(d.now().UnixNano())
		d.write()
		d.ask()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.table.Offered(d.intake.Offer(), d.now())
			d.table.Tick(d.now())
			d.tellGate()
		case <-d.intake.Offered():
			d.table.Offered(d.intake.Offer(), d.now())
		case e := <-d.finished:
			d.ended(e)
		case w := <-d.slow:
			d.table.Yield(w.slot, w.wait, d.now())
		case s := <-d.heard:
			d.table.Heard(s, d.now())
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

// ask makes the asks that are to be made, and lets as many backfill jobs in as the
// budget has room for.
func (d *dispatcher) ask() {
	if want := d.table.Pace(d.budget.Room(), int(d.unpaid.Load())); want != d.wanted {
		d.wanted = want
		d.budget.Want(want)
	}
	for _, a := range d.table.Asks() {
		wait := shortWait
		if a.Long {
			wait = longWait
		}
		if _, err := d.intake.Ask(a.Lane, a.Jobs, wait); err != nil {
			d.log.Warn("asking for jobs", "class", a.Lane.Class, "destination", a.Lane.Destination, "error", err)
			d.table.AskRefused(a.Lane, d.now())
		}
	}
}

func (d *dispatcher) answer(working context.Context, a Answer) {
	switch {
	case a.Refused:
		d.table.AskRefused(a.Lane, d.now())
	case a.Done:
		d.table.AskEnded(a.Lane, a.Unfilled, d.now())
	default:
		slot := d.table.Arrived(a.Lane, a.Delivery.Pending(), d.now())
		if slot == nil {
			d.returnAtOnce(a.Delivery)
			return
		}
		d.start(working, slot, a.Delivery)
	}
}

// start works on a job beside the loop. One that waits for somebody else for a
// while makes itself known as slow.
func (d *dispatcher) start(working context.Context, slot *lanes.Slot, delivery Delivery) {
	if slot.Lane.Class == schemas.Backfill {
		d.unpaid.Add(1)
	}
	run := newPace(slot, d.slow, func() { d.unpaid.Add(-1) })
	d.crew.do(func() {
		result := d.handle(working, delivery, sights{pace: run, slot: slot, end: d.end})
		run.end()
		d.finished <- ended{slot, result}
	})
}

// returnAtOnce hands a job on to whoever has a slot. It comes from a long ask
// that was still open when the last slot was taken or the lane was shut.
func (d *dispatcher) returnAtOnce(delivery Delivery) {
	if err := delivery.GiveBack(0); err != nil {
		d.log.Warn("a job could not be given back; it returns when its lease ends", "error", err)
	}
}

// inHand is how many jobs are in hand.
func (d *dispatcher) inHand() int {
	slots, yielded, _ := d.table.InHand()
	return slots + yielded
}

// finish waits for the jobs in hand; when the grace time is over it interrupts
// them, and cuts them off when their time for last words is over too. It returns
// when the intake has stopped, and no write is under way.
func (d *dispatcher) finish(interrupt, cut func(), stopped <-chan struct{}) {
	grace := time.NewTimer(d.settings.Grace)
	defer grace.Stop()
	last := time.AfterFunc(d.settings.Grace+lastWords, cut)
	defer last.Stop()
	d.table.Stop(d.now())
	d.write()
	for d.inHand() > 0 || stopped != nil || d.writes > 0 {
		select {
		case e := <-d.finished:
			d.ended(e)
		case w := <-d.slow:
			d.table.Yield(w.slot, w.wait, d.now())
		case a := <-d.intake.Answers():
			if !a.Done {
				d.returnAtOnce(a.Delivery)
			}
		case <-stopped:
			stopped = nil
		case s := <-d.heard:
			d.table.Heard(s, d.now())
		case r := <-d.wrote:
			d.written(r)
		case reply := <-d.asked:
			d.lookAt(reply)
		case <-grace.C:
			d.log.Warn("the grace time is over; jobs in hand are given back", "in_hand", d.inHand())
			interrupt()
		}
		d.write()
	}
}

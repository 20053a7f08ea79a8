package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/worker/lanes"
)

// loop is the worker's one loop: it owns the table of lanes, and does what the table
// decides.
type loop struct {
	settings Settings
	table    *lanes.Table
	intake   Intake
	budget   *allowance
	states   *laneStates
	status   *status
	runner   *runner
	finished chan ended
	slow     chan wait
	log      *slog.Logger
	now      func() time.Time
	jitter   func() float64
}

// run asks and starts jobs until ctx ends. Then it takes nothing new, and returns when
// no job is in hand, no write is under way and the intake has stopped. Jobs run on
// working; interrupt ends that when the grace time is over, and cut ends their last
// words.
func (l *loop) run(ctx, working context.Context, interrupt, cut func()) {
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	running, ticks, offered, changed := ctx.Done(), tick.C, l.intake.Offered(), l.budget.Changed()
	var stopped chan struct{}
	var grace <-chan time.Time
	for {
		l.status.turned.Store(l.now().UnixNano())
		l.states.write(l.table.Writes())
		if running != nil {
			l.ask()
		} else if stopped == nil && l.states.writes == 0 && l.inHand() == 0 {
			return
		}
		select {
		case <-running:
			running, ticks, offered, changed = nil, nil, nil, nil
			l.log.Info("stopping", "in_hand", l.inHand(), "grace", l.settings.Grace.String())
			l.table.Stop(l.now())
			stopped = make(chan struct{})
			go func() { l.intake.Stop(); close(stopped) }()
			grace = time.After(l.settings.Grace)
			time.AfterFunc(l.settings.Grace+lastWords, cut)
		case <-stopped:
			stopped = nil
		case <-grace:
			l.log.Warn("the grace time is over; jobs in hand are given back", "in_hand", l.inHand())
			interrupt()
		case <-ticks:
			l.table.Offered(l.intake.Offer(), l.now())
			l.table.Tick(l.now())
			l.status.tell(l.table)
		case <-offered:
			l.table.Offered(l.intake.Offer(), l.now())
		case <-changed:
		case a := <-l.intake.Answers():
			l.answer(working, a, running != nil)
		case e := <-l.finished:
			l.ended(e)
		case w := <-l.slow:
			l.table.Yield(w.slot, w.wait, l.now())
		case s := <-l.states.heard:
			l.table.Heard(s, l.now())
		case w := <-l.states.wrote:
			l.states.written(w)
			l.table.Wrote(w.state, w.err, l.now())
		case reply := <-l.status.asked:
			l.look(reply)
		}
	}
}

// ask makes the asks that are to be made, and lets as many backfill jobs in as the
// budget has room for.
func (l *loop) ask() {
	l.budget.want(l.table.Pace(l.budget.Room(), int(l.budget.unpaid.Load())))
	for _, a := range l.table.Asks() {
		wait := shortWait
		if a.Long {
			wait = longWait
		}
		if _, err := l.intake.Ask(a.Lane, a.Jobs, wait); err != nil {
			l.log.Warn("asking for jobs", "class", a.Lane.Class, "destination", a.Lane.Destination, "error", err)
			l.table.AskRefused(a.Lane, l.now())
		}
	}
}

// answer takes in what an ask brought. A job for which no slot is left goes on to
// another worker: it comes from a long ask that was still open.
func (l *loop) answer(working context.Context, a Answer, running bool) {
	var slot *lanes.Slot
	switch {
	case !a.Done && running:
		slot = l.table.Arrived(a.Lane, a.Delivery.Pending(), l.now())
	case a.Refused && running:
		l.table.AskRefused(a.Lane, l.now())
	case running:
		l.table.AskEnded(a.Lane, a.Unfilled, l.now())
	}
	switch {
	case slot != nil:
		l.start(working, slot, a.Delivery)
	case !a.Done:
		giveBack(l.log, a.Delivery, 0)
	}
}

// start works on a job beside the loop. One that waits for somebody else for a
// while makes itself known as slow.
func (l *loop) start(working context.Context, slot *lanes.Slot, delivery Delivery) {
	pace := newPace(slot, l.slow, l.budget.take(slot.Lane.Class))
	go func() {
		result := l.runner.handle(working, delivery, place{pace: pace, slot: slot, end: l.states.end})
		pace.end()
		l.finished <- ended{slot, result}
	}()
}

// ended takes in the end of a job.
func (l *loop) ended(e ended) {
	now := l.now()
	notice := l.table.Ended(e.slot, e.result, now, l.jitter())
	if notice.GateShut {
		reason, until, _ := l.table.GateShut()
		l.log.Warn("no jobs are taken: something that every job needs has failed",
			"scope", e.result.Scope, "code", reason.Code, "text", reason.Text, "until", until)
	}
	l.status.tell(l.table)
	if notice.Lane != nil {
		l.states.tell(*notice.Lane, now)
	}
}

// inHand is how many jobs are in hand.
func (l *loop) inHand() int {
	slots, yielded, _ := l.table.InHand()
	return slots + yielded
}

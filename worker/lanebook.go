package worker

import (
	"github.com/chartpost/chartpost/schemas"
)

// seen notes how many jobs a lane holds, those in anyone's hands included, and
// whether it can be asked.
func (l *lanes) seen(depth Depth) {
	one := l.get(depth.Lane)
	fresh := !one.served && depth.Served
	one.served, one.first = depth.Served, depth.First
	switch {
	case depth.Jobs == 0:
		one.doubts = doubts{}
	case one.doubts.believe(depth.Jobs) || fresh:
		one.ready = depth.Jobs > uint64(one.inHand)
	}
}

// unseen notes that a lane cannot be asked. It is forgotten once nothing of it is in
// hand.
func (l *lanes) unseen(name schemas.Lane) {
	one := l.get(name)
	one.served, one.ready, one.doubts = false, false, doubts{}
	l.tidy(one)
}

// tidy forgets a lane that can neither be asked nor has anything in hand.
func (l *lanes) tidy(one *lane) {
	if !one.served && one.inHand == 0 && !one.asking && !one.flow.probing {
		l.forget(one)
	}
}

// steer applies what is known of a lane beside its jobs. A lane that is to be
// probed is believed to have a job.
func (l *lanes) steer(name schemas.Lane, shut, probing bool, limit int) {
	one := l.get(name)
	if probing && !one.flow.probing {
		one.ready = true
	}
	one.flow.shut, one.flow.probing, one.flow.limit = shut, probing, limit
}

// reopened makes a lane begin again with one job.
func (l *lanes) reopened(name schemas.Lane) {
	one := l.get(name)
	one.flow.window, one.ready = 1, true
}

// park frees the slot of a job that only waits, unless too many do. Where it waits
// for an answer its lane gets less from now on, either way.
func (l *lanes) park(name schemas.Lane, answer bool) bool {
	if one := l.get(name); answer {
		one.flow.window = max(one.flow.window/2, 1)
	}
	if l.parked >= parkedPerSlot*l.slots {
		return false
	}
	l.parked++
	l.inHand--
	if !answer {
		l.queued++
	}
	return true
}

// arrived books a delivery of a lane, behind which pending jobs wait. It tells
// whether a slot is there for it; if not, it must be given back.
func (l *lanes) arrived(name schemas.Lane, pending uint64) bool {
	one := l.get(name)
	one.ready = pending > 0
	one.doubts.fruitful, one.doubts.vain, one.doubts.skip = true, 0, 0
	promised := one.promised > 0
	if promised {
		l.release(one, 1)
	}
	if !promised && (l.full() || !l.longMay(one)) || one.inHand >= l.room(one) {
		// A slot, or the lane, was taken or shut since the ask.
		one.ready = true
		return false
	}
	one.inHand++
	l.inHand++
	return true
}

// refused books the end of an ask that the queue would not serve. The lane is not
// asked until it is offered again.
func (l *lanes) refused(name schemas.Lane) {
	l.answered(name, 1)
	if one := l.all[name]; one != nil {
		one.ready, one.served = false, false
		l.tidy(one)
	}
}

// answered books the end of an ask.
func (l *lanes) answered(name schemas.Lane, unfilled int) {
	one := l.get(name)
	promised := one.promised
	l.release(one, promised)
	if unfilled > 0 && promised > 0 {
		// Asked for more than there was: believe it is empty until something
		// says otherwise.
		one.ready = false
		one.doubts.answered()
	}
	one.asking = false
}

// release gives up n slots that were kept for an ask of the lane.
func (l *lanes) release(one *lane, n int) {
	one.promised -= n
	l.promised -= n
	if one.name.Class == schemas.Backfill {
		l.backfills -= n
	}
}

// finished books the end of a job.
func (l *lanes) finished(t *ticket) {
	one := l.get(t.lane)
	one.inHand--
	if t.parked {
		l.parked--
	} else {
		l.inHand--
	}
	if t.queued {
		l.queued--
	}
	defer l.tidy(one)
	if t.ending.verdict == well {
		one.flow.window = min(one.flow.window+1, max(l.concurrency, one.flow.limit))
	}
}

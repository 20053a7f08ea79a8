package lanes

import (
	"math"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// seen notes how many jobs a lane holds, those in anyone's hands included, and
// whether it can be asked.
func (l *shares) seen(depth Depth) {
	one := l.get(depth.Lane)
	fresh := !one.served && depth.Served
	one.served, one.first = depth.Served, depth.First
	switch {
	case depth.Jobs == 0:
		one.sightings = sightings{}
	case one.sightings.allow(depth.Jobs) || fresh:
		one.ready = depth.Jobs > uint64(one.inHand)
	}
}

// unseen notes that a lane cannot be asked. It is forgotten once nothing of it is in
// hand.
func (l *shares) unseen(name schemas.Lane) {
	one := l.get(name)
	one.served, one.ready, one.sightings = false, false, sightings{}
	l.tidy(one)
}

// tidy forgets a lane that can neither be asked nor has anything in hand.
func (l *shares) tidy(one *lane) {
	if !one.served && one.inHand == 0 && !one.asking && !one.flow.probing {
		l.forget(one)
	}
}

// sync applies what is known of a lane beside its jobs. A lane that is to be
// probed is believed to have a job.
func (l *shares) sync(name schemas.Lane, shut, probing bool, limit int) {
	one := l.get(name)
	if probing && !one.flow.probing {
		one.ready = true
	}
	one.flow.shut, one.flow.probing, one.flow.limit = shut, probing, limit
}

// reopened makes a lane begin again with one job.
func (l *shares) reopened(name schemas.Lane) {
	one := l.get(name)
	one.flow.window, one.ready = 1, true
	l.tidy(one)
}

// yield frees the slot of a job that waits for wait, unless too many do. Unless it
// waits for the budget, its lane gets less from now on, either way.
func (l *shares) yield(s *Slot, wait Wait) {
	one := l.get(s.Lane)
	if wait != ForBudget && !s.slow {
		s.slow = true
		one.flow.yields()
	}
	moving := wait == ForBytes
	switch {
	case s.yielded, l.yielded.all >= yieldedPerSlot*l.total,
		moving && l.yielded.moving >= movingPerSlot*l.total,
		moving && one.yielded.moving >= max(l.total/2, 1):
		return
	}
	s.yielded, s.wait = true, wait
	l.yielded.count(wait, 1)
	one.yielded.count(wait, 1)
	l.inHand--
}

// charge books for how long a job of a lane has held its slot.
func (l *shares) charge(name schemas.Lane, held time.Duration) {
	l.get(name).used += max(held, 0).Seconds()
}

// fade makes what was used count less as time goes by: by half in ten seconds.
func (l *shares) fade(past time.Duration) {
	part := math.Exp2(-past.Seconds() / 10)
	for _, one := range l.list {
		one.used *= part
	}
}

// arrived books a delivery of a lane, behind which pending jobs wait. It reports
// whether a slot is there for it; if not, it must be given back.
func (l *shares) arrived(name schemas.Lane, pending uint64) bool {
	one := l.get(name)
	one.ready = pending > 0
	one.sightings.productive, one.sightings.fruitless, one.sightings.skip = true, 0, 0
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
func (l *shares) refused(name schemas.Lane) {
	l.answered(name, 1)
	if one := l.all[name]; one != nil {
		one.ready, one.served = false, false
		l.tidy(one)
	}
}

// answered books the end of an ask.
func (l *shares) answered(name schemas.Lane, unfilled int) {
	one := l.get(name)
	promised := one.promised
	l.release(one, promised)
	if unfilled > 0 && promised > 0 {
		// Asked for more than there was: believe it is empty until something
		// says otherwise.
		one.ready = false
		one.sightings.answered()
	}
	one.asking = false
}

// release gives up n slots that were kept for an ask of the lane.
func (l *shares) release(one *lane, n int) {
	one.promised -= n
	l.promised -= n
	if one.name.Class == schemas.Backfill {
		l.backfills -= n
	}
}

// finished books the end of a job.
func (l *shares) finished(s *Slot, r Result) {
	one := l.get(s.Lane)
	one.inHand--
	if s.yielded {
		l.yielded.count(s.wait, -1)
		one.yielded.count(s.wait, -1)
	} else {
		l.inHand--
	}
	defer l.tidy(one)
	if r.Health == Healthy {
		one.flow.wentWell(s.slow, max(l.concurrency, one.flow.limit))
	}
}

package lanes

import (
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Tick takes in what time brings: the gate lets a job through, lanes may be
// probed, waits are over. It is called twice a second.
func (t *Table) Tick(now time.Time) {
	if !t.ticked.IsZero() {
		t.shares.fade(max(now.Sub(t.ticked), 0))
	}
	t.ticked = now
	t.gate.tick(now)
	t.shares.allowed = t.gate.allowed
	t.due = 0
	for lane := range t.breakers.all {
		if lane.Class == schemas.Backfill && t.probeable(lane) && t.breakers.waits(lane, now) {
			t.due++
		}
		may := t.mayProbe(lane, now)
		one := t.shares.all[lane]
		if t.breakers.probeClaimed(lane) && !may && (one == nil || !one.asking) {
			t.put(t.breakers.giveUpProbe(lane, now))
		}
		t.put(t.breakers.due(lane, may, now))
		if t.empty(lane) {
			t.put(t.breakers.end(lane, t.emptyRest(), now))
		}
		t.sync(lane, now)
	}
}

// empty reports whether no job is known to wait in a lane. Where lanes wait for
// their turn, one that is not offered may hold some.
func (t *Table) empty(lane schemas.Lane) bool {
	one := t.shares.all[lane]
	return !t.shares.scarce && (one == nil || one.sightings.jobs == 0 && one.inHand == 0)
}

// emptyRest is how long after its wait the breaker of an empty lane is closed: not
// by all workers at once.
func (t *Table) emptyRest() time.Duration {
	return 2*turnTime + time.Duration(t.spread*float64(2*turnTime))
}

// mayProbe reports whether a job of the lane could be taken now: a worker that
// cannot must not keep others from probing. But where every worker is busy with
// other lanes, none ever sees a free slot here: each is promised before. There
// one whose slots do come free takes the lane's turn for the next.
func (t *Table) mayProbe(lane schemas.Lane, now time.Time) bool {
	switch {
	case !t.probeable(lane):
		return false
	case !t.shares.full() && t.shares.longMay(t.shares.all[lane]):
		return true
	case lane.Class == schemas.Backfill && t.room == 0:
		return false
	}
	return now.Sub(t.freed) < turnTime && t.breakers.overdue(lane, now)
}

// probeable reports whether there is a job to probe the lane with. Jobs from before
// the lane was shut would stand in the probe's place.
func (t *Table) probeable(lane schemas.Lane) bool {
	one := t.shares.all[lane]
	return one != nil && one.inHand == 0 && one.sightings.jobs > 0 && !t.gate.shut()
}

// Stop lets others probe what this worker will not probe any more.
func (t *Table) Stop(now time.Time) {
	for lane := range t.breakers.all {
		if t.breakers.probeClaimed(lane) {
			t.put(t.breakers.giveUpProbe(lane, now))
		}
	}
}

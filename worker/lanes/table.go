package lanes

import (
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Settings govern a Table.
type Settings struct {
	// Worker names this worker in the states that it writes.
	Worker string
	// Slots is how many jobs the worker has in hand at once, Concurrency how many
	// of one lane.
	Slots, Concurrency int
	Backoff            Backoff
	// Spread is of [0,1): workers that would all do the same at once drift apart
	// by it.
	Spread float64
}

// Table is what one worker knows of lanes, breakers and its own gate.
type Table struct {
	shares   *shares
	breakers *breakers
	gate     *gate
	spread   float64
	// freed is when a job last ended.
	freed time.Time
	// ticked is when time was last told.
	ticked time.Time
	// due counts the backfill lanes that somebody should probe: none of their
	// jobs can be taken before, and without one that is wanted the budget grants
	// nothing.
	due int
	// room is how many backfill jobs the budget has room for.
	room int
	// writes are the states to write.
	writes []State
}

// New makes a Table that knows of no lane.
func New(s Settings) *Table {
	return &Table{
		shares: newShares(s.Slots, s.Concurrency), gate: newGate(s.Slots, s.Backoff),
		breakers: newBreakers(s.Worker, s.Backoff), spread: s.Spread,
	}
}

// Asks are the asks to make now.
func (t *Table) Asks() []Ask { return t.shares.asks() }

// Writes are the states to write, each once. What came of it is told by Wrote.
func (t *Table) Writes() []State {
	writes := t.writes
	t.writes = nil
	return writes
}

func (t *Table) put(s *State) {
	if s != nil {
		t.writes = append(t.writes, *s)
	}
}

// Offered takes in which lanes can be asked, and forgets the others.
func (t *Table) Offered(o Offer, now time.Time) {
	t.shares.scarce = o.Scarce
	offered := make(map[schemas.Lane]bool, len(o.Lanes))
	for _, depth := range o.Lanes {
		t.shares.seen(depth)
		t.sync(depth.Lane, now)
		offered[depth.Lane] = true
	}
	for name := range t.shares.all {
		if !offered[name] {
			t.shares.unseen(name)
		}
	}
	for name := range t.breakers.all {
		if !offered[name] {
			t.breakers.forget(name, t.shares.all[name] == nil, now)
		}
	}
}

// Pace says how many backfill jobs the budget has room for; unpaid of those that
// were taken have not used theirs yet. It gives how many are wanted.
func (t *Table) Pace(room, unpaid int) (wanted int) {
	t.room = room
	t.shares.paced = max(room-t.shares.backfills-unpaid, 0)
	return t.shares.backlog() + t.due + unpaid
}

// AskEnded takes in the end of an ask.
func (t *Table) AskEnded(lane schemas.Lane, unfilled int, now time.Time) {
	t.shares.answered(lane, unfilled)
	t.unfilled(lane, now)
}

// AskRefused takes in an ask that the queue did not serve.
func (t *Table) AskRefused(lane schemas.Lane, now time.Time) {
	t.shares.refused(lane)
	t.unfilled(lane, now)
}

// unfilled gives up a probe for which no job came.
func (t *Table) unfilled(lane schemas.Lane, now time.Time) {
	_, probing, _ := t.breakers.flow(lane, now)
	if one := t.shares.all[lane]; !probing || one != nil && (one.inHand > 0 || one.asking) {
		return
	}
	t.put(t.breakers.giveUpProbe(lane, now))
	t.sync(lane, now)
}

// Arrived takes in a job that came, behind which pending others wait. It gives nil
// where the job has to go back.
func (t *Table) Arrived(lane schemas.Lane, pending uint64, now time.Time) *Slot {
	if !t.shares.arrived(lane, pending) {
		return nil
	}
	s := &Slot{Lane: lane, since: now, gate: t.gate.number, Probe: t.gate.probing()}
	t.breakers.begin(s)
	if s.Probe && t.gate.suspect {
		s.Suspect = t.gate.reason.Code
	}
	if _, probing, _ := t.breakers.flow(lane, now); probing {
		s.Probe, s.laneProbe = true, true
		s.Suspect = t.breakers.all[lane].state.Breaker.Reason.Code
		t.breakers.started(lane)
	}
	return s
}

// Yield takes in that a job has been waiting for a while, and frees its slot
// unless too many jobs keep none. Unless it waits for the budget, its lane gets
// less from now on, either way.
func (t *Table) Yield(s *Slot, wait Wait, now time.Time) {
	if s.over || s.yielded {
		return
	}
	if t.shares.yield(s, wait); s.yielded {
		t.shares.charge(s.Lane, now.Sub(s.since))
	}
}

// Ended takes in the end of a job, and what it says of the world. The notice is of
// what changes for it.
func (t *Table) Ended(s *Slot, r Result, now time.Time, jitter float64) Notice {
	s.over = true
	if !s.yielded {
		t.shares.charge(s.Lane, now.Sub(s.since))
	}
	t.shares.finished(s, r)
	t.freed = now
	n := Notice{GateShut: t.gate.ended(s, r, now, jitter)}
	t.shares.allowed = t.gate.allowed
	if s.Lane.Stray() {
		return n // what is refused unread says nothing of a destination
	}
	if put := t.breakers.ended(s, r, now, jitter); put != nil {
		t.put(put)
		n.Lane = put
	}
	t.sync(s.Lane, now)
	return n
}

// Notice is what an operator may want to read in a log.
type Notice struct {
	// GateShut says that this worker takes no job for a while.
	GateShut bool
	// Lane is the state of a lane that is about to be shut or opened, if any.
	Lane *State
}

// Heard takes in a state that the fleet agreed on.
func (t *Table) Heard(s State, now time.Time) {
	closed, put := t.breakers.heard(s, now)
	if closed {
		t.reopened(s.Lane)
	}
	t.put(put)
	t.sync(s.Lane, now)
}

// Wrote takes in what came of a write.
func (t *Table) Wrote(s State, err error, now time.Time) {
	put := t.breakers.wrote(s, err, now)
	if err == nil && s.Breaker == nil {
		t.reopened(s.Lane)
	}
	t.put(put)
	t.sync(s.Lane, now)
}

// reopened makes a lane that is known begin with one job.
func (t *Table) reopened(lane schemas.Lane) {
	if t.shares.all[lane] != nil {
		t.shares.reopened(lane)
	}
}

// sync makes the shares obey what is known of a lane that they know.
func (t *Table) sync(lane schemas.Lane, now time.Time) {
	if t.shares.all[lane] == nil {
		return
	}
	shut, probing, limit := t.breakers.flow(lane, now)
	t.shares.sync(lane, shut, probing, limit)
}

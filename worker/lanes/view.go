package lanes

import (
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// InHand is how many jobs are in hand: with a slot, without one, and how many of
// the latter wait for the budget.
func (t *Table) InHand() (slots, yielded, awaitingBudget int) {
	return t.shares.inHand, t.shares.yielded.all, t.shares.yielded.awaitingBudget
}

// GateShut gives why this worker takes no job at all, and until when; shut is
// false while it takes some.
func (t *Table) GateShut() (reason schemas.Reason, until time.Time, shut bool) {
	return t.gate.reason, t.gate.until, t.gate.shut()
}

// View is a lane as this worker sees it.
type View struct {
	State State
	// Jobs is how many it was last seen to hold, InHand how many this worker has.
	Jobs   uint64
	InHand int
}

// Views are all lanes of which something is known.
func (t *Table) Views() []View {
	out := make([]View, 0, len(t.shares.all))
	for name, one := range t.shares.all {
		seen := View{State: State{Lane: name}, Jobs: one.sightings.jobs, InHand: one.inHand}
		if b := t.breakers.all[name]; b != nil {
			seen.State = b.state
		}
		out = append(out, seen)
	}
	for name, b := range t.breakers.all {
		if t.shares.all[name] == nil && !b.state.Empty() {
			out = append(out, View{State: b.state})
		}
	}
	return out
}

package app

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/natsq"
)

// Spending is what all workers of a scope have made of their requests in the
// window that Redox counts.
type Spending struct {
	// Made and Allowed are requests a second.
	Made, Allowed float64
	// Live and Backfill are requests in the window, Out those that workers may
	// still make, Effective how many there may be in all: Limit, or less after a
	// refusal. Stated tells that the limit is Redox's own word.
	Live, Backfill, Out, Effective, Limit int
	Stated                                bool
	// Assumed are requests of the window before the record was made: nobody is known
	// to have sent them, and they count, for AssumedFor at the most.
	Assumed    int
	AssumedFor time.Duration
	// Workers is how many share it now.
	Workers int
	// Held is how long nothing is sent because Redox refused a request, Age how old
	// the word is.
	Held, Age time.Duration
}

// Look reads what is known of the budget's use, and changes nothing. known is false
// where nobody has spent any, or under other settings, or where it is off.
func (b Budget) Look(ctx context.Context, queue *natsq.Conn) (s Spending, known bool, err error) {
	if b.Requests == 0 {
		return s, false, nil
	}
	store, err := b.record(ctx, queue)
	if err != nil {
		return s, false, err
	}
	state, known, err := budget.Look(ctx, budget.Settings{Requests: b.Requests, Most: b.Most, Window: b.Window, Reserve: b.Reserve}, store, time.Now())
	if err != nil || !known {
		return s, false, err
	}
	return Spending{
		Made: float64(state.Live+state.Backfill) / b.Window.Seconds(), Allowed: float64(state.Effective) / b.Window.Seconds(),
		Live: state.Live, Backfill: state.Backfill, Out: state.Out, Effective: state.Effective, Limit: state.Requests, Stated: state.Stated,
		Assumed: state.Assumed, AssumedFor: state.AssumedFor, Workers: state.Workers, Held: state.Held, Age: state.Age,
	}, true, nil
}

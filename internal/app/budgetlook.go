package app

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/natsq"
)

// Spending is how many requests a second all workers of a scope have made in the
// window that Redox counts, and how many they may.
type Spending struct{ Made, Allowed float64 }

// Look reads what is known of the budget's use, and changes nothing. known is false
// where nobody has spent any, or under other settings, or where it is off.
func (b Budget) Look(ctx context.Context, queue *natsq.Conn) (s Spending, known bool, err error) {
	if b.Requests == 0 {
		return s, false, nil
	}
	store, err := queue.Budget(ctx, b.Scope)
	if err != nil {
		return s, false, err
	}
	state, known, err := budget.Look(ctx, budget.Settings{Requests: b.Requests, Most: b.Most, Window: b.Window, Reserve: b.Reserve}, store, time.Now())
	if err != nil || !known {
		return s, false, err
	}
	return Spending{
		Made: float64(state.Live+state.Backfill) / b.Window.Seconds(), Allowed: float64(state.Effective) / b.Window.Seconds(),
	}, true, nil
}

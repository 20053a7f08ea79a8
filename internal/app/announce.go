package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/budget"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/worker"
)

// gateEvery is how soon the fleet hears that a worker's gate was shut or opened.
const gateEvery = time.Second

// announcer tells the fleet of a worker.
type announcer struct {
	queue    *natsq.Conn
	worker   *worker.Worker
	requests *requests
	log      *slog.Logger
	base     diagnosis.Worker
	// failed: the last try failed, and the log knows.
	failed bool
}

// announcing tells the fleet of this worker until the function that it gives is called.
func announcing(a announcer) (stop func() error) {
	a.base.Release, a.base.Since = Version(), time.Now().UTC()
	ctx, cancel := context.WithCancel(context.Background())
	var telling sync.WaitGroup
	telling.Go(func() { a.run(ctx) })
	return func() error {
		cancel()
		telling.Wait()
		if a.failed {
			return nil
		}
		// A fleet that does not hear of it believes in this worker for PresentFor.
		_ = a.queue.Withdraw(context.Background(), a.base.Name)
		return nil
	}
}

func (a *announcer) run(ctx context.Context) {
	tick := time.NewTicker(gateEvery)
	defer tick.Stop()
	var told time.Time
	var gate string
	for {
		if is := a.gate(); is != gate || time.Since(told) >= natsq.PresentEvery {
			gate, told = is, time.Now()
			a.tell(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// gate is empty while it is open.
func (a *announcer) gate() string {
	if shut := a.worker.Shut(); shut != nil {
		return shut.Reason.Code
	}
	return ""
}

func (a *announcer) tell(ctx context.Context) {
	err := a.queue.Announce(ctx, a.record(ctx))
	if err != nil && !a.failed && ctx.Err() == nil {
		a.log.Warn("the fleet does not know of this worker: commands may say that no worker is alive", "error", err)
	}
	if ctx.Err() == nil {
		a.failed = err != nil
	}
}

func (a *announcer) record(ctx context.Context) diagnosis.Worker {
	w := a.base
	w.Gate = gateOf(a.worker.Shut())
	ctx, cancel := context.WithTimeout(ctx, gateEvery)
	defer cancel()
	if look, ok := a.worker.Look(ctx); ok {
		w.Slots, w.InHand, w.AwaitingAnswer = look.Slots, look.InHand, look.AwaitingAnswer
	}
	state := a.requests.State()
	if state.Requests == 0 {
		return w // the budget is off
	}
	w.Budget = diagnosis.Budget{Live: a.requests.Waiting(budget.Live), Backfill: a.requests.Waiting(budget.Backfill), NoRoom: a.requests.Room() == 0}
	if state.Held > 0 {
		w.Budget.HeldUntil = time.Now().Add(state.Held).UTC()
	}
	return w
}

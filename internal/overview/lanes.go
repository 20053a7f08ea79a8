// Package overview gathers how the whole deployment stands: its workers, its lanes and
// what holds them. What it gives is plain data, for commands and pages alike.
package overview

import (
	"context"
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/worker"
)

// fleetTime is how long is waited for the list of workers: without it the rest is told.
const fleetTime = 3 * time.Second

// Fleet lists the workers that are alive. It is nil, with the reason, where that cannot
// be known: the caller may not read it, or workers cannot announce themselves.
func Fleet(ctx context.Context, queue *natsq.Conn) (*diagnosis.Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, fleetTime)
	defer cancel()
	fleet, err := queue.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	return &fleet, nil
}

// Lane is a lane with what holds it.
type Lane struct {
	natsq.LaneReport
	Why diagnosis.Answer
}

// Lanes are all lanes that hold jobs, have a consumer, or have a state.
type Lanes struct {
	// Fleet is nil where it is not known, and NoFleet says why.
	Fleet   *diagnosis.Fleet
	NoFleet error
	// Paused is the pause of all lanes; nil is none.
	Paused *worker.Pause
	Lanes  []Lane
}

// LookAtLanes reads all lanes and the fleet.
func LookAtLanes(ctx context.Context, queue *natsq.Conn, now time.Time) (Lanes, error) {
	control, err := queue.Control(ctx)
	if err != nil {
		return Lanes{}, err
	}
	reports, err := control.Report(ctx)
	if err != nil {
		return Lanes{}, err
	}
	var out Lanes
	if out.Paused, err = control.PausedAll(ctx, now); err != nil {
		return Lanes{}, err
	}
	out.Fleet, out.NoFleet = Fleet(ctx, queue)
	if errors.Is(out.NoFleet, context.Canceled) {
		return Lanes{}, out.NoFleet
	}
	for _, r := range reports {
		facts := diagnosis.Facts{Now: now, Lane: LaneFacts(r)}
		if r.Waiting > 0 {
			facts.Fleet = out.Fleet // an empty lane waits for no worker
		}
		out.Lanes = append(out.Lanes, Lane{r, diagnosis.Why(facts)})
	}
	return out, nil
}

// LaneFacts are what a report says of its lane.
func LaneFacts(r natsq.LaneReport) *diagnosis.Lane {
	return &diagnosis.Lane{State: r.State, Waiting: r.Waiting, InHand: r.InHand, Concurrency: r.Concurrency, Unserved: r.Unserved}
}

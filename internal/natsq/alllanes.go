package natsq

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// AllLanes stands for every lane, those that do not exist yet included. Of its state only
// the pause counts: while it lasts, no lane can be asked for jobs.
//
// It is no lane of a destination: "all" is no class.
func AllLanes() schemas.Lane { return schemas.Lane{Class: "all", Destination: "pause"} }

// pausedAll is the pause of all lanes at a time; nil is none.
func pausedAll(state worker.LaneState, now time.Time) *worker.Pause {
	if state.Pause == nil || !now.Before(state.Pause.Until) {
		return nil
	}
	return state.Pause
}

// PausedAll reads the pause of all lanes; nil is none.
func (c *Control) PausedAll(ctx context.Context, now time.Time) (*worker.Pause, error) {
	state, err := c.Get(ctx, AllLanes())
	return pausedAll(state, now), err
}

// overlaid is the pause that holds a lane longer: its own, or that of all lanes.
func overlaid(own, all *worker.Pause) *worker.Pause {
	if all == nil || own != nil && own.Until.After(all.Until) {
		return own
	}
	told := *all
	told.Reason = "all lanes: " + all.Reason
	return &told
}

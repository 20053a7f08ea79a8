package worker

import (
	"context"

	"github.com/chartpost/chartpost/worker/lanes"
)

type (
	// LaneState is what the whole fleet knows of one lane beside its jobs.
	LaneState = lanes.State
	// Breaker is open while the destination is believed to be broken.
	Breaker = lanes.Breaker
	// Pause is an operator's.
	Pause = lanes.Pause
	// Backoff is how long a lane or a worker rests.
	Backoff = lanes.Backoff
)

// ErrChanged refuses a Put of a state that somebody has changed since.
var ErrChanged = lanes.ErrChanged

// ErrLater refuses a Put over the state of a later version.
var ErrLater = lanes.ErrLater

// Budget paces backfill: a job of it is not taken before its requests may be
// made, so that it holds no slot while it waits. Live jobs are taken at once and
// wait in the pipeline, if they must.
type Budget interface {
	// Room is how many backfill jobs may begin now.
	Room() int
	// Want says how many more could begin at once; it stands until it is changed.
	Want(jobs int)
	// Changed gets a value when Room may have grown.
	Changed() <-chan struct{}
}

// Control keeps the states of lanes for the fleet, and knows what operators want
// of backfill runs.
type Control interface {
	// Follow calls changed with the state of every lane there is one of, and
	// then with each change; one that is empty was removed. It outlives outages
	// of the queue, after which it tells everything again, and returns when ctx
	// ends. changed may be told the same state twice.
	Follow(ctx context.Context, changed func(LaneState))
	// Put replaces the state of Revision. An empty state removes the record. It fails
	// with ErrChanged when somebody was faster, and with ErrLater where the state is one
	// of a later version.
	Put(ctx context.Context, state LaneState) (LaneState, error)
	// FollowRuns calls changed with every run there is, then listed, and then
	// changed with every change; a run that was removed is not cancelled. It
	// outlives outages of the queue, after which it tells everything again, and
	// returns when ctx ends.
	FollowRuns(ctx context.Context, changed func(run string, cancelled bool), listed func())
}

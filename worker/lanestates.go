package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// laneStates follows the states of lanes that the fleet agreed on, and writes those
// that the table of lanes decides on.
type laneStates struct {
	control Control
	heard   chan LaneState
	wrote   chan written
	// writes counts those under way.
	writes int
	// end is when a worker that stops writes nothing any more.
	end context.Context
	log *slog.Logger
}

// written is what came of a write of a lane's state.
type written struct {
	state LaneState
	err   error
}

// writeTime bounds the write of a lane's state. It outlasts an election.
const writeTime = 15 * time.Second

func newLaneStates(end context.Context, control Control, log *slog.Logger) *laneStates {
	return &laneStates{control: control, heard: make(chan LaneState), wrote: make(chan written), end: end, log: log}
}

func (s *laneStates) follow(ctx context.Context) {
	s.control.Follow(ctx, func(state LaneState) {
		select {
		case s.heard <- state:
		case <-ctx.Done():
		}
	})
}

// write writes states beside the loop.
func (s *laneStates) write(states []LaneState) {
	for _, state := range states {
		s.writes++
		go func() {
			ctx, cancel := context.WithTimeout(s.end, writeTime)
			defer cancel()
			after, err := s.control.Put(ctx, state)
			s.wrote <- written{after, err}
		}()
	}
}

// written takes in what came of a write.
func (s *laneStates) written(w written) {
	s.writes--
	if w.err != nil && !errors.Is(w.err, ErrChanged) {
		s.log.Warn("a lane's state could not be written", "class", w.state.Lane.Class, "destination", w.state.Lane.Destination, "error", w.err)
	}
}

// tell logs what is about to be written of a lane.
func (s *laneStates) tell(state LaneState, now time.Time) {
	log := s.log.With("class", state.Lane.Class, "destination", state.Lane.Destination)
	switch br := state.Breaker; {
	case br == nil:
		log.Info("the lane is open again")
	case br.Until.After(now):
		log.Warn("the lane is shut: its destination fails", "code", br.Reason.Code, "text", br.Reason.Text, "until", br.Until, "opened", br.Opened)
	}
}

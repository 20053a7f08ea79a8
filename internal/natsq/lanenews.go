package natsq

import (
	"maps"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// freshLanes are lanes that have a new job and cannot be asked yet.
type freshLanes struct {
	mu    sync.Mutex
	lanes map[schemas.Lane]bool
	some  chan struct{}
}

func newFreshLanes() *freshLanes {
	return &freshLanes{lanes: map[schemas.Lane]bool{}, some: make(chan struct{}, 1)}
}

// add is called for each job that is stored; it does not block.
func (f *freshLanes) add(lane schemas.Lane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lanes[lane] {
		return
	}
	f.lanes[lane] = true
	select {
	case f.some <- struct{}{}:
	default:
	}
}

func (f *freshLanes) take() map[schemas.Lane]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.lanes
	f.lanes = map[schemas.Lane]bool{}
	return taken
}

// laneStates are the states of lanes, for the worker that looks after them.
type laneStates struct {
	mu      sync.Mutex
	all     map[schemas.Lane]worker.LaneState
	done    bool
	changed chan struct{}
}

func newLaneStates() *laneStates {
	return &laneStates{all: map[schemas.Lane]worker.LaneState{}, changed: make(chan struct{}, 1)}
}

func (s *laneStates) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = false
	clear(s.all)
}

func (s *laneStates) note(state worker.LaneState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state.Empty() {
		delete(s.all, state.Lane)
	} else {
		s.all[state.Lane] = state
	}
	s.wake()
}

// complete notes that every state there is has been told.
func (s *laneStates) complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.wake()
}

func (s *laneStates) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *laneStates) listed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

func (s *laneStates) of(lane schemas.Lane) worker.LaneState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[lane]
}

// shut judges lanes by their states at a time.
func (s *laneStates) shut(now time.Time) func(schemas.Lane) shutness {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := maps.Clone(s.all)
	if pausedAll(states[AllLanes()], now) != nil {
		return func(schemas.Lane) shutness { return laneShut }
	}
	return func(lane schemas.Lane) shutness {
		state := states[lane]
		switch {
		case state.Pause != nil && now.Before(state.Pause.Until):
			return laneShut
		case state.Breaker == nil || state.Breaker.Prober != "":
			return laneOpen
		case now.Before(state.Breaker.Until):
			return laneShut
		}
		return laneProbeDue
	}
}

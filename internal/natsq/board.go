package natsq

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// offer is what the worker with the tenure tells the fleet, by a plain message: which
// lanes can be asked. One that is lost is followed by the next.
type offer struct {
	From string `json:"from"`
	// Ask are the lanes with a consumer, and Probe those that somebody is to probe;
	// each "<class>.<destination token>" with how many jobs it holds.
	Ask   map[string]uint64 `json:"ask"`
	Probe map[string]uint64 `json:"probe,omitempty"`
	// Scarce: more lanes hold jobs than can have a consumer.
	Scarce bool `json:"scarce,omitempty"`
	// Waiting is how many lanes hold jobs that nobody can take, and Unserved why, of
	// the first of them.
	Waiting  int               `json:"waiting,omitempty"`
	Unserved map[string]string `json:"unserved,omitempty"`
	// Unservable counts the jobs on subjects that no consumer can have.
	Unservable uint64 `json:"unservable,omitempty"`
}

// mostUnservedTold bounds the lanes of which it is told why they wait.
const mostUnservedTold = 100

// offerSubject is where workers tell each other; no other role may.
func (c *Conn) offerSubject() string { return c.prefix + ".lanes" }

func (c *Conn) tellOffer(o offer) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return c.nc.Publish(c.offerSubject(), data)
}

// board is the newest offer, for this worker to read.
type board struct {
	mu    sync.Mutex
	offer offer
	heard time.Time
	// changed gets a value when there is a newer offer.
	changed chan struct{}
}

func newBoard() *board { return &board{changed: make(chan struct{}, 1)} }

func (b *board) take(o offer, now time.Time) {
	b.mu.Lock()
	b.offer, b.heard = o, now
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// received takes in an offer of another worker.
func (b *board) received(msg *nats.Msg, self string) {
	var o offer
	if json.Unmarshal(msg.Data, &o) != nil || o.From == self {
		return
	}
	b.take(o, time.Now())
}

// silent reports whether no worker has told of the lanes for a while.
func (b *board) silent(now time.Time, while time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Sub(b.heard) >= while
}

// offers reports whether a lane can be asked already.
func (b *board) offers(tail string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.offer.Ask[tail]
	return ok
}

// newest is the offer that came last.
func (b *board) newest() offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offer
}

// unservable is how many jobs are on subjects that no consumer can have.
func (b *board) unservable() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offer.Unservable
}

// depths are the lanes of the newest offer.
func (b *board) depths() worker.Offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := worker.Offer{Scarce: b.offer.Scarce, Lanes: make([]worker.Depth, 0, len(b.offer.Ask)+len(b.offer.Probe))}
	add := func(lanes map[string]uint64, served bool) {
		for tail, jobs := range lanes {
			if lane, err := schemas.ParseTail(tail); err == nil {
				out.Lanes = append(out.Lanes, worker.Depth{Lane: lane, Jobs: jobs, Served: served})
			}
		}
	}
	add(b.offer.Ask, true)
	add(b.offer.Probe, false)
	return out
}

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

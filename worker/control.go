package worker

import (
	"context"
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// LaneState is what the whole fleet knows of one lane beside its jobs. One
// with neither breaker nor pause nor limit says nothing.
type LaneState struct {
	Lane schemas.Lane `json:"-"`
	// Breaker is set while the destination is believed to be broken.
	Breaker *Breaker `json:"breaker,omitempty"`
	// Pause is set by an operator, and ends by itself.
	Pause *Pause `json:"pause,omitempty"`
	// Limit is an operator's number of jobs the fleet works at once in this
	// lane, in place of the setting; 0 is none.
	Limit int `json:"limit,omitempty"`
	// Revision is what a Put replaces; 0 for a lane nothing was written of.
	Revision uint64 `json:"-"`
	// Later: a later version wrote the record, and this one cannot read it. It stays as
	// it is, and the lane is shut here: its Pause says so.
	Later bool `json:"-"`

	Unknown versioned.Unknown `json:",embed"`
}

// LaneStateVersion is the version of a LaneState's form.
const LaneStateVersion = 1

// plainLaneState is a LaneState without methods.
type plainLaneState LaneState

type laneStateForm struct {
	Version int `json:"version"`
	plainLaneState
}

// MarshalJSON writes the state with its version, and with the members of it that this
// version does not know.
func (s LaneState) MarshalJSON() ([]byte, error) {
	return versioned.Encode(laneStateForm{LaneStateVersion, plainLaneState(s)})
}

// UnmarshalJSON reads a state. One of a later version is a *versioned.Newer.
func (s *LaneState) UnmarshalJSON(data []byte) error {
	var form laneStateForm
	if err := versioned.Decode(data, LaneStateVersion, &form); err != nil {
		return err
	}
	*s = LaneState(form.plainLaneState)
	return nil
}

// LaterLaneState stands for a state that a later version wrote: nobody knows here
// whether jobs of the lane may be taken, so none are.
func LaterLaneState(lane schemas.Lane, revision uint64) LaneState {
	return LaneState{Lane: lane, Revision: revision, Later: true, Pause: &Pause{
		By: "a later version of Chartpost", Reason: "this version cannot read the lane's record; update it",
		Until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}}
}

// ErrLater refuses a Put over the state of a later version.
var ErrLater = errors.New("a later version of Chartpost wrote the lane's record, and it stays as it is: use that version")

// Breaker is open from Since on: nobody takes a job of the lane before Until.
// Then one worker writes its name into Prober and takes one job; Until is by
// when it will have said what came of it.
type Breaker struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Opened counts the openings since the destination last took a message.
	Opened int `json:"opened"`
	// Reason is the fault that opened it last.
	Reason schemas.Reason `json:"reason"`
	Prober string         `json:"prober,omitempty"`

	Unknown versioned.Unknown `json:",embed"`
}

// Pause is an operator's.
type Pause struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`

	Unknown versioned.Unknown `json:",embed"`
}

// MarshalJSON writes it with the members that this version does not know.
func (b Breaker) MarshalJSON() ([]byte, error) {
	type plain Breaker
	return versioned.Encode(plain(b))
}

// MarshalJSON writes it with the members that this version does not know.
func (p Pause) MarshalJSON() ([]byte, error) {
	type plain Pause
	return versioned.Encode(plain(p))
}

// Empty tells whether nothing is said of the lane.
func (s LaneState) Empty() bool {
	return s.Breaker == nil && s.Pause == nil && s.Limit == 0 && len(s.Unknown) == 0
}

// ShutUntil is until when nobody takes jobs of the lane; the zero time says
// that it is not shut. A lane that is being probed is open to the prober.
func (s LaneState) ShutUntil() time.Time {
	var until time.Time
	if s.Breaker != nil && s.Breaker.Prober == "" {
		until = s.Breaker.Until
	}
	if s.Pause != nil && s.Pause.Until.After(until) {
		until = s.Pause.Until
	}
	return until
}

// ErrChanged refuses a Put of a state that somebody has changed since.
var ErrChanged = errors.New("the lane's state was changed by somebody else")

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

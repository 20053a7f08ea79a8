// Package lanes decides which lane a worker asks for jobs, and which lanes rest.
//
// Its Table holds the lanes, their circuit breakers and the worker's own gate.
// Events go in: what the queue offers, what came of asks, how jobs ended, what
// the fleet agreed on, time. Asks to make and states to write come out. The
// package starts no goroutine, reads no clock and reaches no network. A Table
// is not safe for concurrent use.
package lanes

import (
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// State is what the whole fleet knows of one lane beside its jobs. One with
// neither breaker nor pause nor limit says nothing.
type State struct {
	Lane schemas.Lane `json:"-"`
	// Breaker is set while the destination is believed to be broken.
	Breaker *Breaker `json:"breaker,omitempty"`
	// Pause is set by an operator, and ends by itself.
	Pause *Pause `json:"pause,omitempty"`
	// Limit is an operator's number of jobs the fleet works at once in this
	// lane, in place of the setting; 0 is none.
	Limit int `json:"limit,omitempty"`
	// Revision is what a write replaces; 0 for a lane nothing was written of.
	Revision uint64 `json:"-"`
	// Later: a later version wrote the record, and this one cannot read it. It stays as
	// it is, and the lane is shut here: its Pause says so.
	Later bool `json:"-"`

	Unknown versioned.Unknown `json:",embed"`
}

// StateVersion is the version of a State's form.
const StateVersion = 1

// plainState is a State without methods.
type plainState State

type stateForm struct {
	Version int `json:"version"`
	plainState
}

// MarshalJSON writes the state with its version, and with the members of it that this
// version does not know.
func (s State) MarshalJSON() ([]byte, error) {
	return versioned.Encode(stateForm{StateVersion, plainState(s)})
}

// UnmarshalJSON reads a state. One of a later version is a *versioned.Newer.
func (s *State) UnmarshalJSON(data []byte) error {
	var form stateForm
	if err := versioned.Decode(data, StateVersion, &form); err != nil {
		return err
	}
	*s = State(form.plainState)
	return nil
}

// LaterState stands for a state that a later version wrote: it is not known here whether
// jobs of the lane may be taken, so none are.
func LaterState(lane schemas.Lane, revision uint64) State {
	return State{Lane: lane, Revision: revision, Later: true, Pause: &Pause{
		By: "a later version of Chartpost", Reason: "this version cannot read the lane's record; update it",
		Until: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}}
}

// ErrLater refuses a write over the state of a later version.
var ErrLater = errors.New("a later version of Chartpost wrote the lane's record, and it stays as it is: use that version")

// Breaker is open from Since on: no worker takes a job of the lane before Until.
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

// Empty reports whether nothing is said of the lane.
func (s State) Empty() bool {
	return s.Breaker == nil && s.Pause == nil && s.Limit == 0 && len(s.Unknown) == 0
}

// ShutUntil is until when no worker takes jobs of the lane; the zero time says
// that it is not shut. A lane that is being probed is open to the prober.
func (s State) ShutUntil() time.Time {
	var until time.Time
	if s.Breaker != nil && s.Breaker.Prober == "" {
		until = s.Breaker.Until
	}
	if s.Pause != nil && s.Pause.Until.After(until) {
		until = s.Pause.Until
	}
	return until
}

// ErrChanged refuses a write of a state that somebody has changed since.
var ErrChanged = errors.New("the lane's state was changed by somebody else")

// Depth is how many jobs a lane holds, leased ones included.
type Depth struct {
	Lane schemas.Lane
	Jobs uint64
	// Served says that the lane can be asked. One that cannot is shut, and waits
	// for a worker that says it probes it.
	Served bool
	// First says that the lane comes before those that are not. They get every fourth
	// turn.
	First bool
}

// Offer are the lanes that can be asked, or probed.
type Offer struct {
	Lanes []Depth
	// Scarce says that other lanes wait for their turn: no ask stays open for jobs
	// that do not exist yet.
	Scarce bool
}

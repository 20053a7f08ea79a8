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
}

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
}

// Pause is an operator's.
type Pause struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
}

// Empty reports whether nothing is said of the lane.
func (s State) Empty() bool { return s.Breaker == nil && s.Pause == nil && s.Limit == 0 }

// ShutUntil is until when nobody takes jobs of the lane; the zero time says
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
}

// Offer are the lanes that can be asked, or probed.
type Offer struct {
	Lanes []Depth
	// Scarce says that other lanes wait for their turn: no ask stays open for jobs
	// that do not exist yet.
	Scarce bool
}

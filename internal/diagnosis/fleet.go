// Package diagnosis answers why a job, or a lane, does not move. It is pure: facts go
// in, and an answer comes out. All commands and pages ask it, so that none can differ.
package diagnosis

import (
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Worker is what a running worker says of itself.
type Worker struct {
	Name string `json:"name"`
	// Release is the version of the program.
	Release string `json:"release"`
	// Since is when it began to take jobs.
	Since time.Time `json:"since"`
	// Slots is how many jobs it may have in hand, InHand how many it has, and
	// AwaitingAnswer how many wait for an answer, or hardly move, and keep no slot.
	Slots          int `json:"slots"`
	InHand         int `json:"in_hand"`
	AwaitingAnswer int `json:"awaiting_answer"`
	// Gate is nil while the worker takes jobs.
	Gate   *Gate  `json:"gate,omitempty"`
	Budget Budget `json:"budget"`
}

// Gate says why a worker takes no job at all.
type Gate struct {
	Until time.Time `json:"until"`
	Code  string    `json:"code"`
}

// Text is the gate in the words of a person.
func (g Gate) Text() string {
	return "no jobs are taken until " + stamp(g.Until) + ": " + g.Code
}

// Budget is how a worker waits for the request budget.
type Budget struct {
	// Live and Backfill are requests that wait for their permit.
	Live     int `json:"live"`
	Backfill int `json:"backfill"`
	// NoRoom says that no backfill job is taken, because the budget has no room.
	NoRoom bool `json:"no_room,omitempty"`
	// HeldUntil is until when nothing is sent, because Redox refused a request.
	HeldUntil time.Time `json:"held_until,omitzero"`
}

// Fleet are the workers that are alive.
type Fleet struct {
	Workers []Worker
}

// shut gives the gate of a fleet of which no worker takes jobs: the one that opens
// first. some counts the workers whose gate is shut.
func (f Fleet) shut() (first *Gate, some int) {
	for _, w := range f.Workers {
		if w.Gate == nil {
			continue
		}
		some++
		if first == nil || w.Gate.Until.Before(first.Until) {
			first = w.Gate
		}
	}
	if some < len(f.Workers) {
		first = nil
	}
	return first, some
}

// codes are those of the shut gates, each once.
func (f Fleet) codes() string {
	var codes []string
	for _, w := range f.Workers {
		if w.Gate != nil && !slices.Contains(codes, w.Gate.Code) {
			codes = append(codes, w.Gate.Code)
		}
	}
	slices.Sort(codes)
	return strings.Join(codes, ", ")
}

// waits reports whether jobs of a class wait for the request budget: held until when,
// if Redox refused a request, or the word of every worker that has none in hand for it.
func (f Fleet) waits(class schemas.Class, now time.Time) (held time.Time, waits bool) {
	full := 0
	for _, w := range f.Workers {
		if w.Budget.HeldUntil.After(now) && w.Budget.HeldUntil.After(held) {
			held = w.Budget.HeldUntil
		}
		if w.Budget.Live > 0 && class == schemas.Live || class == schemas.Backfill && (w.Budget.NoRoom || w.Budget.Backfill > 0) {
			full++
		}
	}
	return held, !held.IsZero() || full > 0 && full == len(f.Workers)
}

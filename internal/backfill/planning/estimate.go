package planning

import (
	"math"
	"time"
)

// Serving says how fast Redox and the workers serve one destination.
type Serving struct {
	// LaneConcurrency is how many jobs of a destination are in hand at once.
	LaneConcurrency int
	// Answer is how long Redox takes to answer a request; 0 is not considered.
	Answer time.Duration
}

// Budget is what Redox takes: Requests in each Window. 0 Requests is no budget.
type Budget struct {
	Requests int
	Window   time.Duration
}

// Cost is what the backfill takes.
type Cost struct {
	Requests int64 `json:"requests"`
	// Budget is how many requests fit into a window.
	Budget        int     `json:"budget_requests"`
	WindowSeconds float64 `json:"budget_window_seconds"`
	// BudgetSeconds is the time of all requests with the whole budget for the backfill; 0
	// where there is no budget.
	BudgetSeconds int64 `json:"budget_seconds"`
	// LaneSeconds is the time of the destination with the most requests, with so many jobs in
	// hand and so long an answer; 0 where answers take no time.
	LaneSeconds     int64   `json:"lane_seconds"`
	Destination     string  `json:"slowest_destination,omitempty"`
	LaneConcurrency int     `json:"lane_concurrency"`
	AnswerSeconds   float64 `json:"answer_seconds"`
	// Seconds is the least time: the larger of both.
	Seconds int64 `json:"seconds"`
}

// estimate fills in the times.
func (c *Cost) estimate(lanes []Lane, b Budget, s Serving) {
	c.Budget, c.WindowSeconds = b.Requests, b.Window.Seconds()
	if c.Budget > 0 {
		c.BudgetSeconds = seconds(float64(c.Requests) * c.WindowSeconds / float64(c.Budget))
	}
	c.LaneConcurrency, c.AnswerSeconds = s.LaneConcurrency, s.Answer.Seconds()
	if c.LaneConcurrency > 0 {
		var most int64
		c.Destination, most = busiest(lanes)
		c.LaneSeconds = seconds(float64(most) * c.AnswerSeconds / float64(c.LaneConcurrency))
	}
	c.Seconds = max(c.BudgetSeconds, c.LaneSeconds)
}

func seconds(s float64) int64 { return int64(math.Ceil(s)) }

// busiest is the destination with the most requests: the queue has one lane for all its
// operations.
func busiest(lanes []Lane) (destination string, most int64) {
	requests := map[string]int64{}
	for _, lane := range lanes {
		requests[lane.Destination] += lane.Requests
	}
	for _, lane := range lanes { // in their order, so that a tie is always the same
		if n := requests[lane.Destination]; n > most {
			destination, most = lane.Destination, n
		}
	}
	return destination, most
}

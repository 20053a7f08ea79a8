package jobindex

import (
	"context"
	"time"
)

// Pace is how often a builder looks.
type Pace struct {
	// Every is how often it asks how many events there are.
	Every time.Duration
	// Survey is how often it lists the segments even where there is nothing to add, to
	// build again what was lost.
	Survey time.Duration
}

// DefaultPace asks the server one small question every 15 s.
var DefaultPace = Pace{Every: 15 * time.Second, Survey: 10 * time.Minute}

// askMine is how often a worker asks itself whether it is the one.
const askMine = time.Second

// Run builds until ctx ends. mine reports whether this worker is the one of the fleet
// that does such things; tell hears of each pass.
func (x *Index) Run(ctx context.Context, pace Pace, mine func() bool, tell func(Pass, error)) {
	r := &running{index: x, pace: pace, mine: mine, tell: tell}
	for {
		wait := pace.Every
		if mine() {
			r.look(ctx, time.Now())
		} else {
			r.surveyed, wait = time.Time{}, min(wait, askMine)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// running is what a builder remembers between its passes.
type running struct {
	index *Index
	pace  Pace
	mine  func() bool
	tell  func(Pass, error)
	// surveyed is when the last pass was made, and covered what it came to.
	surveyed time.Time
	covered  uint64
}

// look makes a pass where there is something to add, or where the last one is long ago.
func (r *running) look(ctx context.Context, now time.Time) {
	bounds, err := r.index.events.Bounds(ctx)
	if err != nil {
		r.tell(Pass{}, err)
		return
	}
	if now.Sub(r.surveyed) < r.pace.Survey && bounds.Last < r.covered+uint64(r.index.full) && bounds.Last >= r.covered {
		return
	}
	pass, err := r.index.Build(ctx, func() bool { return ctx.Err() == nil && r.mine() })
	if r.tell(pass, err); err == nil && !pass.Raced {
		r.surveyed, r.covered = now, pass.Covered
	}
}

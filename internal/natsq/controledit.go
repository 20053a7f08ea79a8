package natsq

import (
	"context"
	"errors"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Edit changes the state of a lane, again for as long as another writer is faster, and
// gives the state before the change. Its errors are those of Get and Put.
func (c *Control) Edit(ctx context.Context, lane schemas.Lane, edit func(*worker.LaneState)) (worker.LaneState, error) {
	for {
		before, err := c.Get(ctx, lane)
		if err != nil {
			return before, err
		}
		after := before
		edit(&after)
		if _, err = c.Put(ctx, after); !errors.Is(err, worker.ErrChanged) {
			return before, err
		}
	}
}

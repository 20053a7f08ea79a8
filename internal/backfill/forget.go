package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Shelf is a Bucket from which records can be removed.
type Shelf interface {
	Bucket
	// Keys lists the keys that match a filter.
	Keys(ctx context.Context, filter string) ([]string, error)
	// Remove removes the record of a key; one that is gone is as good.
	Remove(ctx context.Context, key string) error
}

// ErrNotEnded refuses to forget a run of which lines have not ended, or that has a
// feeder.
var ErrNotEnded = errors.New("the run has not ended")

// Forget removes the book of a run that has ended, and leaves no more of it than its
// name. What it delivered stays where it is. It may be interrupted and done again:
// the run is cancelled first, so that nobody goes on with it beside a book that is
// half gone.
func Forget(ctx context.Context, shelf Shelf, events Events, id, by string, now time.Time) error {
	run, _, err := LoadRun(ctx, shelf, id)
	if err != nil {
		return err
	}
	at, err := LoadCheckpoint(ctx, shelf, id)
	if err != nil {
		return err
	}
	if at.Feeder != "" {
		return fmt.Errorf("%w: %s feeds it", ErrNotEnded, at.Feeder)
	}
	book, err := OpenBook(ctx, shelf, run)
	if err == nil {
		err = book.CatchUp(ctx, events, run, at.Events)
	}
	if err != nil {
		return err
	}
	if t := book.Tally(run); t.InFlight+t.Unfed > 0 {
		advice := "cancel it first"
		if run.State == Cancelled {
			advice = "the same run command, with this name, stays until they have ended, and finds those that are lost"
		}
		return fmt.Errorf("%w: %d jobs are in flight, %d are not fed; %s", ErrNotEnded, t.InFlight, t.Unfed, advice)
	}
	if _, err := SetState(ctx, shelf, id, Cancelled, by, now); err != nil {
		return err
	}
	keys, err := shelf.Keys(ctx, RunPrefix+id+".>")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := shelf.Remove(ctx, key); err != nil {
			return fmt.Errorf("removing the record %s: %w", key, err)
		}
	}
	run, revision, err := LoadRun(ctx, shelf, id)
	if err != nil {
		return err
	}
	_, err = store(ctx, shelf, RunPrefix+id, Run{ID: id, StartedAt: run.StartedAt, State: Forgotten, By: by, Changed: now.UTC()}, revision)
	return err
}

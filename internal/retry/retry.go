// Package retry tries something against a server that may be away for a
// while: an election of a new leader takes 4-9 s, a restart as long.
package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// TryTimeout bounds one try.
const TryTimeout = 5 * time.Second

// Do tries op until it succeeds, fails with an error that hopeless knows, or
// ctx ends. The wait between two tries grows to 2 s, so that there is no hot
// loop. The error is what the last try met, and the end of ctx where that was
// the reason to stop.
func Do(ctx context.Context, hopeless func(error) bool, op func(ctx context.Context) error) error {
	first := once(ctx, op)
	if first == nil || hopeless(first) {
		return first
	}
	return again(ctx, hopeless, op, first)
}

// once is one try.
func once(ctx context.Context, op func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	try, cancel := context.WithTimeout(ctx, TryTimeout)
	defer cancel()
	return op(try)
}

// again goes on after a first try that failed with last.
func again(ctx context.Context, hopeless func(error) bool, op func(ctx context.Context) error, last error) error {
	waits := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	for {
		timer := time.NewTimer(waits.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(ctx.Err(), last) {
				return ctx.Err()
			}
			return fmt.Errorf("%w; the last try: %w", ctx.Err(), last)
		}
		if last = once(ctx, op); last == nil || hopeless(last) {
			return last
		}
	}
}

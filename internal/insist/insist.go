// Package insist tries something against a server that may be away for a
// while: an election of a new leader takes 4-9 s, a restart as long.
package insist

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
	waits := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	var last error
	err := backoff.Retry(func() error {
		if err := ctx.Err(); err != nil {
			return backoff.Permanent(err)
		}
		try, cancel := context.WithTimeout(ctx, TryTimeout)
		defer cancel()
		if last = op(try); hopeless(last) {
			return backoff.Permanent(last)
		}
		return last
	}, backoff.WithContext(waits, ctx))
	if err == nil || last == nil || errors.Is(err, last) {
		return err
	}
	return fmt.Errorf("%w; the last try: %w", err, last)
}

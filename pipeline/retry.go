package pipeline

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/chartpost/chartpost/internal/fault"
)

// RetryPolicy governs the repeats of one step while the job keeps its slot.
// Anything longer is a matter of minutes to days and leaves the slot.
type RetryPolicy struct {
	// Tries is how often a step is tried at the most, the first one included.
	Tries int
	// First is the longest wait before the second try; each further one is
	// double. The wait is drawn evenly from zero to that (full jitter).
	First time.Duration
	// Longest is the longest wait; a server that asks for more ends the step.
	Longest time.Duration
}

// do runs step until it succeeds, fails for good, or the tries are spent. Only
// retryable faults are repeated: after an unknown outcome a repeat is a
// decision, not a reflex. The ledger does its own retrying.
func (r RetryPolicy) do(ctx context.Context, step func() error) error {
	waits := r.waits()
	for try := 1; ; try++ {
		err := step()
		f := fault.Of(err)
		if f == nil || f.Kind != fault.Retryable || f.Scope == fault.Ledger || try >= r.Tries || f.RetryAfter > r.Longest {
			return err
		}
		timer := time.NewTimer(max(waits.NextBackOff(), f.RetryAfter))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// waits is an interval policy alone: backoff's own loop knows neither the
// context nor a server's wish. A factor of 1 draws from zero to twice the
// interval, so the interval is half the longest wait.
func (r RetryPolicy) waits() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(r.First/2),
		backoff.WithMaxInterval(r.Longest/2),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1),
		backoff.WithMaxElapsedTime(0),
	)
}

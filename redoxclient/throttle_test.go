package redoxclient

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// slowThrottle lets a request through after a wait.
type slowThrottle struct{ wait time.Duration }

func (s slowThrottle) Take(ctx context.Context) error {
	select {
	case <-time.After(s.wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (slowThrottle) Heard(int, bool, time.Duration) {}

// TestThrottleIsNotTheEndpoint: the wait for the right to ask takes nothing from
// the endpoint's own time.
func TestThrottleIsNotTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		s.cfg.Throttle = slowThrottle{throttleTimeout - time.Second}
		server.delay = tokenTimeout - time.Second
		wantToken(t, s, "token-1")
		s.Invalidate("token-1")
		server.delay = time.Hour
		began := time.Now()
		_, err := s.Token()
		wantError(t, err, Retryable, CodeAnswerTimeout)
		if took := time.Since(began); took != throttleTimeout-time.Second+tokenTimeout {
			t.Errorf("took %s", took)
		}
	})
}

// TestThrottleThatAllowsNothing: callers hear that they were throttled, since
// nobody stopped them; who is stopped leaves at once.
func TestThrottleThatAllowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		s.cfg.Throttle = slowThrottle{time.Hour}
		began := time.Now()
		const callers = 5
		told := make(chan error, callers)
		for range callers {
			go func() { _, err := s.TokenContext(t.Context()); told <- err }()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.TokenContext(ctx)
		wantError(t, err, Interrupted, CodeCancelled)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("left after %s", took)
		}
		for range callers {
			wantError(t, <-told, Retryable, CodeThrottled)
		}
		if took := time.Since(began); took != throttleTimeout {
			t.Errorf("told after %s", took)
		}
		if n := server.fetches(); n != 0 {
			t.Errorf("%d requests without the right to one", n)
		}
	})
}

package redoxclient

import (
	"context"
	"net/http"
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

func (slowThrottle) Heard(LimitSaid) Ruling { return Ruling{} }

// ruledThrottle takes every refusal for that of a destination.
type ruledThrottle struct {
	slowThrottle
	heard []LimitSaid
}

func (r *ruledThrottle) Heard(said LimitSaid) Ruling {
	r.heard = append(r.heard, said)
	return Ruling{OfDestination: said.Destination != "", Wait: time.Minute}
}

// The Throttle is told who a message was for, and its ruling is in the error.
func TestThrottleIsToldOfTheDestination(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	throttle := &ruledThrottle{}
	c := newClient(t, url, func(cfg *Config) { cfg.Throttle = throttle })
	for _, op := range allOps {
		e := wantError(t, callOp(t.Context(), c, op, canaryBody()), RateLimited, CodeStatus)
		want := LimitSaid{Op: op, Refused: true, RetryAfter: 7 * time.Second}
		if op == OpSend {
			want.Destination = "good-health"
		}
		if got := throttle.heard[len(throttle.heard)-1]; got != want {
			t.Errorf("heard %+v, want %+v", got, want)
		}
		if e.Ruling != (Ruling{OfDestination: op == OpSend, Wait: time.Minute}) {
			t.Errorf("%s: ruling %+v", op, e.Ruling)
		}
	}
	_, err := c.SendDataModel(t.Context(), DataModelRequest{Destination: "dest-1", Body: canaryBody()})
	if e := wantError(t, err, RateLimited, CodeStatus); !e.Ruling.OfDestination || throttle.heard[len(throttle.heard)-1].Destination != "dest-1" {
		t.Errorf("%v, heard %+v", e, throttle.heard)
	}
}

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

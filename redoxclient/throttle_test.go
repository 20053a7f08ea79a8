package redoxclient

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
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

func (slowThrottle) Sent(time.Duration) {}

func (slowThrottle) Heard(LimitSaid) Ruling { return Ruling{} }

// timedThrottle notes how long after its permit each request left.
type timedThrottle struct {
	slowThrottle
	sent chan time.Duration
}

func (t *timedThrottle) Sent(after time.Duration) { t.sent <- after }

// The Throttle is told how late a request left: a file that opens slowly lies
// between its permit and its head. A repeat has a permit of its own.
func TestThrottleIsToldHowLateARequestLeft(t *testing.T) {
	refuse := atomic.Bool{}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", blobURL)
		if refuse.CompareAndSwap(true, false) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(1_700_000_000, clock.Load()) }
	throttle := &timedThrottle{sent: make(chan time.Duration, 10)}
	c := newClient(t, url, func(cfg *Config) { cfg.Throttle, cfg.Now = throttle, now })
	body := Body{Size: 1, PermittedAt: now(), Open: func(context.Context) (io.ReadCloser, error) {
		clock.Add(int64(5 * time.Second))
		return io.NopCloser(strings.NewReader("x")), nil
	}}
	for _, op := range allOps {
		body.PermittedAt = now()
		if err := callOp(t.Context(), c, op, body); err != nil && op != OpUploadBlob { // whose answer has no URL
			t.Fatal(err)
		}
		if after := <-throttle.sent; after != 5*time.Second {
			t.Errorf("%s: left after %s", op, after)
		}
	}
	refuse.Store(true)
	body.PermittedAt = now().Add(-time.Minute)
	if err := callOp(t.Context(), c, OpSend, body); err != nil {
		t.Fatal(err)
	}
	if first, repeat := <-throttle.sent, <-throttle.sent; first != 65*time.Second || repeat != 5*time.Second {
		t.Errorf("left after %s, and again after %s", first, repeat)
	}
	body.PermittedAt = time.Time{}
	if err := callOp(t.Context(), c, OpSend, body); err != nil || len(throttle.sent) != 0 {
		t.Errorf("%v; told %d times of a request whose permit is unknown", err, len(throttle.sent))
	}
}

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

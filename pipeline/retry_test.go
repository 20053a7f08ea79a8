package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

var quick = RetryPolicy{Tries: 4, First: time.Second, Longest: 5 * time.Second}

// passing is a fault that a retry may cure.
func passing() *fault.Fault {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Destination, Code: "x"}
}

// times runs a step that always fails with err and gives when it was tried,
// from the start.
func times(ctx context.Context, r RetryPolicy, err error) (at []time.Duration, last error) {
	start := time.Now()
	last = r.do(ctx, func() error {
		at = append(at, time.Since(start))
		return err
	})
	return at, last
}

// TestRetryWaits: each wait is drawn from zero to a bound that doubles up to the
// longest; drawn often enough, it comes near both ends.
func TestRetryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := RetryPolicy{Tries: 6, First: time.Second, Longest: 5 * time.Second}
		bounds := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
		least := make([]time.Duration, len(bounds))
		most := make([]time.Duration, len(bounds))
		const rounds = 400
		for round := range rounds {
			at, err := times(t.Context(), r, passing())
			if len(at) != r.Tries || fault.Of(err).Code != "x" {
				t.Fatalf("%d tries, %v; want %d and the last fault", len(at), err, r.Tries)
			}
			for i, bound := range bounds {
				wait := at[i+1] - at[i]
				if wait < 0 || wait > bound+time.Nanosecond {
					t.Fatalf("wait %d was %s, at most %s is allowed", i+1, wait, bound)
				}
				if round == 0 {
					least[i], most[i] = wait, wait
				}
				least[i], most[i] = min(least[i], wait), max(most[i], wait)
			}
		}
		for i, bound := range bounds {
			if least[i] > bound/10 || most[i] < bound*9/10 {
				t.Errorf("wait %d was drawn from %s to %s in %d rounds, want all of 0 to %s", i+1, least[i], most[i], rounds, bound)
			}
		}
	})
}

// TestRetryAfter: a server's wish is kept where it fits, and ends the step where
// it does not.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name  string
		wish  time.Duration
		tries int
	}{
		{"shorter than the longest wait", 3 * time.Second, 4},
		{"as long as the longest wait", 5 * time.Second, 4},
		{"longer", 5*time.Second + 1, 1},
		{"much longer", time.Hour, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := passing()
				f.RetryAfter = c.wish
				at, err := times(t.Context(), quick, f)
				if len(at) != c.tries || !errors.Is(err, f) {
					t.Fatalf("%d tries, %v; want %d and the fault", len(at), err, c.tries)
				}
				for i := 1; i < len(at); i++ {
					if wait := at[i] - at[i-1]; wait < c.wish {
						t.Errorf("wait %d was %s, the server asked for %s", i, wait, c.wish)
					}
				}
			})
		})
	}
}

// TestRetryNot: what no repeat can cure, or none may answer, is tried once.
func TestRetryNot(t *testing.T) {
	for _, f := range []*fault.Fault{
		{Kind: fault.Permanent, Scope: fault.Job},
		{Kind: fault.Poison, Scope: fault.Job},
		{Kind: fault.UnknownOutcome, Scope: fault.Destination},
		{Kind: fault.Interrupted, Scope: fault.Job},
		{Kind: fault.Superseded, Scope: fault.Job},
		{Kind: fault.Retryable, Scope: fault.Ledger},
	} {
		synctest.Test(t, func(t *testing.T) {
			at, err := times(t.Context(), quick, f)
			if len(at) != 1 || !errors.Is(err, f) {
				t.Errorf("%s of the %s: %d tries, %v; want one and the fault", f.Kind, f.Scope, len(at), err)
			}
		})
	}
}

// TestRetryEnds: with success, with another kind of fault, with the tries, and
// with the context, during a wait too.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		if err := quick.do(t.Context(), func() error {
			if tries++; tries < 3 {
				return passing()
			}
			return nil
		}); err != nil || tries != 3 {
			t.Errorf("%d tries, %v; want success at the third", tries, err)
		}
		tries = 0
		final := &fault.Fault{Kind: fault.Permanent, Code: "final"}
		if err := quick.do(t.Context(), func() error {
			if tries++; tries < 2 {
				return passing()
			}
			return final
		}); !errors.Is(err, final) || tries != 2 {
			t.Errorf("%d tries, %v; want the final fault at the second", tries, err)
		}
		if at, _ := times(t.Context(), RetryPolicy{Tries: 1, First: time.Second, Longest: time.Second}, passing()); len(at) != 1 {
			t.Errorf("%d tries where one is allowed", len(at))
		}
		if at, err := times(t.Context(), quick, errors.New("nobody judged it")); len(at) != quick.Tries || fault.Of(err).Code != "internal" {
			t.Errorf("an error nobody judged: %d tries, %v", len(at), err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		f := passing()
		f.RetryAfter = 4 * time.Second
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		at, err := times(ctx, quick, f)
		if len(at) != 1 || !errors.Is(err, f) || time.Since(start) != time.Second {
			t.Errorf("%d tries, %v after %s; want the fault as soon as the context ends", len(at), err, time.Since(start))
		}
	})
}

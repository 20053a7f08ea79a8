package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errAway     = errors.New("away")
	errHopeless = errors.New("hopeless")
)

func never(error) bool { return false }

func TestDoOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back, tries := time.Now().Add(20*time.Second), 0
		err := Do(t.Context(), never, func(context.Context) error {
			if tries++; time.Now().Before(back) {
				return errAway
			}
			return nil
		})
		if err != nil || tries < 10 || tries > 60 {
			t.Errorf("%v after %d tries; want success, and neither a hot loop nor a long sleep", err, tries)
		}
		if late := time.Since(back); late > 4*time.Second {
			t.Errorf("noticed %s after the server was back", late)
		}
	})
}

func TestDoGivesUpOnWhatNoWaitCanCure(t *testing.T) {
	tries := 0
	err := Do(t.Context(), func(err error) bool { return errors.Is(err, errHopeless) }, func(context.Context) error {
		tries++
		return errHopeless
	})
	if !errors.Is(err, errHopeless) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		err := Do(ctx, never, func(context.Context) error { return errAway })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errAway) {
			t.Errorf("%v; want the end of the context and what the last try met", err)
		}
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestDoBoundsOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		err := Do(t.Context(), never, func(ctx context.Context) error {
			if tries++; tries == 2 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil || tries != 2 {
			t.Errorf("%v after %d tries; want the second after the first was cut off", err, tries)
		}
	})
}

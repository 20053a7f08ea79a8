package budget

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettingsAreChecked(t *testing.T) {
	good := Settings{Requests: 7500, Window: testWindow, Reserve: 0.2, Worker: "w"}
	for name, harm := range map[string]func(*Settings){
		"negative":    func(s *Settings) { s.Requests = -1 },
		"most":        func(s *Settings) { s.Most = -1 },
		"too many":    func(s *Settings) { s.Requests = mostBelieved + 1 },
		"no window":   func(s *Settings) { s.Window = 0 },
		"reserve":     func(s *Settings) { s.Reserve = 1 },
		"no name":     func(s *Settings) { s.Worker = "" },
		"travel":      func(s *Settings) { s.Travel = -1 },
		"long window": func(s *Settings) { s.Window = 25 * time.Hour },
	} {
		settings := good
		harm(&settings)
		if _, err := New(settings, nil, time.Now, nil, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(good, nil, time.Now, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestABudgetThatIsOffCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1, Settings{Window: testWindow})
		w := s.join(0, 0)
		for range 20_000 {
			if err := w.Take(t.Context(), Backfill, 1); err != nil {
				t.Fatal(err)
			}
		}
		w.Heard(Answer{Refused: true})
		if !w.TryTake(Live, 2) || w.Available(Backfill) < 1000 || w.State() != (State{}) {
			t.Error("something was counted")
		}
		w.leave()
		if w.link.operations() != 0 {
			t.Errorf("%d operations", w.link.operations())
		}
	})
}

func TestTakeCanBeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1, fiveMinutes(0))
		w := s.join(0, 0)
		w.link.cut(true) // nothing is ever granted
		for _, n := range []int{0, -1, MostAtOnce + 1} {
			if err := w.Take(t.Context(), Live, n); !errors.Is(err, ErrTooMany) || w.TryTake(Live, n) {
				t.Errorf("%d: %v", n, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Take(ctx, Live, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if w.Waiting(Live) != 0 {
			t.Error("it still waits")
		}
		ended := make(chan error)
		go func() { ended <- w.Take(t.Context(), Backfill, 1) }()
		synctest.Wait()
		w.leave()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := w.Take(t.Context(), Live, 1); !errors.Is(err, ErrClosed) || w.TryTake(Live, 1) || w.Available(Live) != 0 {
			t.Error(err)
		}
	})
}

// TestTheDispatcherIsTold works through a deep queue by Want, Changed,
// Available and TryTake alone: no job waits for its first request.
func TestTheDispatcherIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1, fiveMinutes(0.2))
		w := s.join(0, 0)
		w.backfill(16)
		time.Sleep(5 * testWindow / 2)
		used := s.used(Backfill, 6000)
		t.Logf("%.2f %% of backfill's part", 100*used)
		if used < 0.98 {
			t.Error("the dispatcher was told too late")
		}
		s.judge(testLimit)
		w.Want(Backfill, 0)
	})
}

// TestWhatWasGrantedOutlastsAnOutage lets the store go away for ten seconds, as
// while a leader is elected, and for good.
func TestWhatWasGrantedOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1, fiveMinutes(0.2))
		w := s.join(0, 0)
		w.live(1)
		time.Sleep(time.Minute)
		s.takeWaits()
		w.link.cut(true)
		time.Sleep(5 * time.Second)
		if n := atHand(s.takeWaits()); n < 100 {
			t.Errorf("in an outage %.0f %% of the live requests did not wait", n)
		}
		time.Sleep(time.Minute)
		s.takeWaits()
		time.Sleep(time.Minute)
		if n := len(s.takeWaits()); n > 0 {
			t.Errorf("%d requests that nobody granted", n)
		}
		w.link.cut(false)
		time.Sleep(10 * time.Second)
		if len(s.takeWaits()) < 50 {
			t.Error("those that waited did not go out")
		}
	})
}

package budget

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheBudgetGoesOnWhenTheClockIsSetBack sets the store's clock back by ten
// windows, as when a server that came up hours ahead is put right: what is sent
// in the window that follows is about what was sent before, also where a request
// was refused three windows ago.
func TestTheBudgetGoesOnWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	for _, class := range []Class{Live, Backfill} {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprintf("class %d, refused before: %v", class, refused), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSim(t, 5, swift(0.2))
					window, limit := s.settings.Window, s.settings.Requests
					var fleet []*worker
					for range 3 {
						w := s.join(0, 0)
						w.greedy(class, 30)
						fleet = append(fleet, w)
					}
					time.Sleep(2 * window)
					if refused {
						fleet[0].Heard(Answer{Refused: true})
						time.Sleep(2 * window)
					}
					before := s.sentIn(window)
					s.store.step(-10 * window)
					first, second := s.sentIn(window), s.sentIn(window)
					t.Logf("the window before %d, the first after %d, the second %d; fullest %d of %d", before, first, second, s.judge(limit), limit)
					if first < before*2/3 || second < before*9/10 {
						t.Error("the budget stood still")
					}
				})
			})
		}
	}
}

// TestNoWindowIsOverfullWhenTheClockIsSetBack sets the store's clock back by a
// part of a window, by ten, and by a hundred under fleets of busy and of seldom
// workers, some of which believe the old time for longest, and counts.
func TestNoWindowIsOverfullWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(sized(3, 120)) {
		windows := []float64{10, 0.15, 100, 1}[seed%4]
		t.Run(fmt.Sprintf("%d by %v windows", seed, windows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { setBack(t, seed, windows, seed%3 == 0) })
		})
	}
}

func setBack(t *testing.T, seed uint64, windows float64, refused bool) {
	s := newSim(t, seed, swift([]float64{0.2, 0}[seed/4%2]))
	s.store.faults = simFaults{answer: 0.005, request: 0.005, stale: 0.05}
	s.store.wobble = s.inWindow(200 * time.Millisecond)
	dice := rand.New(rand.NewPCG(seed, 3))
	window, limit := s.settings.Window, s.settings.Requests
	step := func(part float64) { s.store.step(-time.Duration(part * float64(window))) }
	var fleet []*worker
	for range 3 {
		w := s.join(time.Duration(dice.Int64N(int64(20*time.Second)))-10*time.Second, (dice.Float64()-0.5)*2e-4)
		w.greedy(Backfill, 30)
		fleet = append(fleet, w)
	}
	for range 3 {
		w := s.join(0, 0)
		w.start(func() {
			for pause(w.alive, s.upTo(window/3)) {
				for range 1 + int(s.upTo(time.Duration(limit/10))) {
					w.start(w.one)
				}
			}
		})
	}
	time.Sleep(3*window/2 + s.upTo(window))
	if refused {
		fleet[0].Heard(Answer{Refused: true, RetryAfter: s.upTo(window / 10)})
		time.Sleep(s.upTo(window))
	}
	before := s.sentIn(window)
	step(windows)
	first, second := s.sentIn(window), s.sentIn(window)
	if second < before*2/3 {
		t.Errorf("%d requests in the second window after the clock was set back, %d before it", second, before)
	}
	// And twice in a row, while some are cut off.
	for _, w := range []*worker{fleet[dice.IntN(3)], fleet[dice.IntN(3)]} {
		w.link.cut(true)
		time.Sleep(s.upTo(window / 20))
		step(windows * dice.Float64())
		time.Sleep(s.upTo(window / 5))
		w.link.cut(false)
	}
	fleet[0].greedy(Live, 20)
	time.Sleep(3 * window / 2)
	t.Logf("%d before, %d and %d after; fullest %d of %d", before, first, second, s.judge(limit), limit)
}

// TestAClockThatWasSetForwardIsForgiven sets the store's clock forward, which
// may overfill one window, and back: from the second window on all is as before.
func TestAClockThatWasSetForwardIsForgiven(t *testing.T) {
	t.Parallel()
	for _, windows := range []int{10, 100} {
		t.Run(fmt.Sprint(windows, " windows"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 9, swift(0.2))
				window, limit := s.settings.Window, s.settings.Requests
				var fleet []*worker
				for range 3 {
					w := s.join(0, 0)
					w.greedy(Backfill, 30)
					fleet = append(fleet, w)
				}
				fleet[0].live(float64(limit) / 20 / window.Seconds())
				time.Sleep(2 * window)
				before := s.sentIn(window)
				s.store.step(time.Duration(windows) * window)
				first := s.sentIn(window)
				second := s.sentIn(window)
				t.Logf("set forward: %d before, %d and %d after", before, first, second)
				if first > 2*limit || second < before*9/10 {
					t.Error("forward it is not as before")
				}
				s.set(func() { s.arrivals = [2][]time.Time{} })
				s.store.step(-time.Duration(windows) * window)
				time.Sleep(window)
				if third := s.sentIn(window); third < before*9/10 {
					t.Errorf("%d requests in a window after the clock was put right, %d before all", third, before)
				}
				t.Log("fullest once it had been set forward", s.judge(limit))
			})
		})
	}
}

// sentIn waits for a span and gives how many requests arrived in it.
func (s *sim) sentIn(span time.Duration) int {
	from := time.Now()
	time.Sleep(span)
	return s.in(Live, from, time.Now()) + s.in(Backfill, from, time.Now())
}

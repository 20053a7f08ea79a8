package budget

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestARestartForgetsNothing spends the whole window at once, kills everybody,
// and sees that who comes next waits for it to end.
func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1, fiveMinutes(0.2))
		w := s.join(0, 0)
		w.start(w.one)
		time.Sleep(2 * testWindow) // the first window is taken to be full
		for range testLimit + 500 {
			w.start(w.one)
		}
		time.Sleep(10 * time.Second)
		spent := time.Now()
		w.die()
		if n := s.before(spent.Add(time.Second)); n < 7400 {
			t.Fatalf("the burst was %d requests", n)
		}
		next := s.join(time.Hour, 0)
		next.greedy(Live, 50)
		time.Sleep(testWindow - 20*time.Second)
		if n := next.sent(Live); n > 100 {
			t.Errorf("a new worker sent %d requests into a full window", n)
		}
		time.Sleep(testWindow)
		if n := next.sent(Live); n < 5000 {
			t.Errorf("and then it sent %d", n)
		}
		s.judge(testLimit)
	})
}

// TestALostRecordIsTakenToBeFull loses the record in a fleet's hands, and sets
// it back, and counts.
func TestALostRecordIsTakenToBeFull(t *testing.T) {
	t.Parallel()
	lose := func(s *sim) { s.store.lose() }
	unreadable := func(s *sim) { s.store.spoil([]byte(`{"version":1`)) }
	foul := func(s *sim) {
		window := s.settings.Window.Milliseconds()
		s.store.spoil(fmt.Appendf(nil, `{"version":1,"window_ms":%d,"workers":{"a":{"out":-5}}}`, window))
	}
	back := func(s *sim) { s.store.roll(150) }
	for name, harms := range map[string][]func(*sim){
		"lost": {lose, unreadable, foul}, "set back": {back, back},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 2, swift(0))
				window, limit := s.settings.Window, s.settings.Requests
				for range 3 {
					w := s.join(0, 0)
					w.greedy(Backfill, 30)
				}
				for _, harm := range harms {
					time.Sleep(window + s.upTo(window))
					harm(s)
				}
				time.Sleep(2 * window)
				t.Log("fullest", s.judge(limit))
				if used := s.used(Backfill, float64(limit)); used < 0.95 {
					t.Errorf("afterwards %.2f %% are used", 100*used)
				}
			})
		})
	}
}

// TestTheFirstWindowIsNoBurst sees that the very first worker starts at an even
// pace, soon.
func TestTheFirstWindowIsNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3, fiveMinutes(0.2))
		w := s.join(0, 0)
		began := time.Now()
		w.greedy(Live, 1000)
		time.Sleep(5 * time.Second)
		if n := s.in(Live, began, began.Add(5*time.Second)); n < 50 || n > 150 {
			t.Errorf("%d requests in the first seconds", n)
		}
		time.Sleep(testWindow)
		if n := s.judge(testLimit); n < 7000 {
			t.Errorf("%d requests in the first window", n)
		}
	})
}

// TestANewerRecordIsLeftAlone sees that nothing is sent where the count cannot
// be read, and nothing overwritten.
func TestANewerRecordIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 4, fiveMinutes(0))
		s.store.spoil([]byte(`{"version":2}`))
		w := s.join(0, 0)
		w.greedy(Live, 1)
		time.Sleep(testWindow)
		if w.sent(Live) > 0 || string(s.store.latest(false).value) != `{"version":2}` {
			t.Error("a record of another version was used or replaced")
		}
	})
}

// TestTheStoresClockIsSetBack sees that nobody believes the old time for long.
func TestTheStoresClockIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 5, swift(0))
		for range 3 {
			w := s.join(0, 0)
			w.greedy(Backfill, 30)
		}
		for range 3 {
			time.Sleep(s.settings.Window)
			s.store.step(-s.inWindow(20 * time.Second))
		}
		time.Sleep(2 * s.settings.Window)
		used := s.used(Backfill, float64(s.settings.Requests))
		t.Logf("fullest %d, afterwards %.1f %% are used", s.judge(s.settings.Requests), 100*used)
		if used < 0.95 {
			t.Error("an old time is believed for too long")
		}
	})
}

// TestLateRequestsCountAgain holds back every request for ten seconds at times,
// and tells of it.
func TestLateRequestsCountAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 6, fiveMinutes(0))
		w := s.join(0, 0)
		for range 300 {
			w.start(func() {
				for w.Take(w.alive, Live, 1) == nil {
					if s.float() < 0.05 {
						if !pause(w.alive, 10*time.Second) {
							return
						}
						w.Late(1)
					}
					s.send(w, Live)
				}
			})
		}
		time.Sleep(3 * testWindow)
		t.Log("fullest", s.judge(testLimit))
	})
}

func (s *simStore) spoil(value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	if n := len(s.history); n > 0 {
		last = s.history[n-1].revision
	}
	s.history = []simRevision{{value, last + 1, time.Now()}}
}

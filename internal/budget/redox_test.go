package budget

import (
	"testing"
	"testing/synctest"
	"time"
)

// simRedox counts what arrives as Redox is thought to: refused requests are not
// counted.
type simRedox struct {
	limit  int
	window time.Duration
	states bool
	after  time.Duration
	taken  []time.Time
}

func (r *simRedox) judge(at time.Time) (Answer, bool) {
	for len(r.taken) > 0 && at.Sub(r.taken[0]) >= r.window {
		r.taken = r.taken[1:]
	}
	var a Answer
	if r.states {
		a.Limit = r.limit
	}
	if a.Refused = len(r.taken) >= r.limit; a.Refused {
		a.RetryAfter = r.after
		return a, true
	}
	r.taken = append(r.taken, at)
	return a, false
}

// fleetBefore starts a fleet that send all they can to a Redox; a tenth or
// more of it is live.
func fleetBefore(t *testing.T, redox *simRedox) (*sim, []*worker) {
	s := newSim(t, 11, swift(0))
	redox.window = s.settings.Window
	s.refuse = redox.judge
	var fleet []*worker
	for range sized(2, 3) {
		w := s.join(0, 0)
		w.greedy(Backfill, 30)
		w.live(float64(s.settings.Requests) / 20 / redox.window.Seconds())
		fleet = append(fleet, w)
	}
	return s, fleet
}

func (s *sim) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// refusedSince is how many refusals there were, and the bursts they came in.
func (s *sim) refusedSince(from time.Time) (n, bursts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last time.Time
	for _, at := range s.refused {
		if at.Before(from) {
			continue
		}
		n++
		if at.Sub(last) > s.inWindow(30*time.Second) {
			bursts++
		}
		last = at
	}
	return n, bursts
}

// TestALowerLimitIsFound lets Redox take less than is believed and say nothing
// of it, as when others use the same address.
func TestALowerLimitIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := swift(0).Requests
		redox := &simRedox{limit: limit * 2 / 3}
		s, fleet := fleetBefore(t, redox)
		window, began := redox.window, time.Now()
		time.Sleep(4 * window)
		n, bursts := s.refusedSince(began)
		t.Logf("in the first 4 windows %d refusals in %d bursts; then %+v", n, bursts, fleet[0].State())
		if n == 0 || n > 300 || bursts > 4 {
			t.Error("the limit was not found at once")
		}
		from := time.Now()
		windows := sized(6, 16)
		time.Sleep(time.Duration(windows) * window)
		n, bursts = s.refusedSince(from)
		sent := len(s.arrived(Live, Backfill)) - s.before(from)
		used := float64(sent-n) / float64(windows*redox.limit)
		t.Logf("in the %d windows that follow %d of %d refused, in %d bursts; %.1f %% of the limit used", windows, n, sent, bursts, 100*used)
		if bursts > windows/4 || used < 0.85 {
			t.Error("it was asked too often, or too little was used")
		}
		// The others go away.
		s.set(func() { redox.limit = limit + limit/8 })
		from = time.Now()
		for fleet[0].State().Effective < limit {
			time.Sleep(window / 5)
			if time.Since(from) > 30*window {
				t.Fatal("the limit did not come back")
			}
		}
		t.Logf("the limit came back after %s", time.Since(from))
	})
}

func (s *sim) before(at time.Time) (n int) {
	return s.in(Live, time.Time{}, at) + s.in(Backfill, time.Time{}, at)
}

// TestRetryAfterIsKept sees that nobody sends before the time that a refusal
// named, but what was under way until all have heard of it.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redox := &simRedox{limit: swift(0).Requests}
		s, fleet := fleetBefore(t, redox)
		window := redox.window
		after, under := s.inWindow(90*time.Second), max(s.inWindow(4*time.Second), time.Second)
		time.Sleep(2 * window)
		fleet[0].Heard(Answer{Refused: true, RetryAfter: after})
		told := time.Now()
		if fleet[0].Available(Live) != 0 {
			t.Error("a refusal was followed by a request at once")
		}
		time.Sleep(window)
		for _, at := range s.arrived(Live, Backfill) {
			if !at.Before(told.Add(under)) && at.Before(told.Add(after)) {
				t.Errorf("a request %s after a refusal that named %s", at.Sub(told), after)
			}
		}
		if n := s.in(Backfill, told.Add(after), told.Add(after*4/3)); n == 0 {
			t.Error("nothing was sent after it")
		}
	})
}

// TestTheStatedLimitCounts lets Redox state its limit, and change it.
func TestTheStatedLimitCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lower, higher := swift(0).Requests*2/3, swift(0).Requests*4/3
		redox := &simRedox{limit: lower, states: true}
		s, fleet := fleetBefore(t, redox)
		window, began := redox.window, time.Now()
		time.Sleep(3 * window)
		if n, _ := s.refusedSince(began); n > 0 {
			t.Errorf("%d requests were refused though the limit was stated", n)
		}
		if state := fleet[1].State(); !state.Stated || state.Requests != lower || state.Effective != lower {
			t.Errorf("%+v, want the stated limit", state)
		}
		s.set(func() { redox.limit = higher })
		time.Sleep(riseAfter + 2*window)
		if state := fleet[1].State(); state.Effective != higher {
			t.Errorf("%+v, want the higher limit", state)
		}
		from := time.Now()
		const windows = 4 // live comes by chance: one short window is 1 % above or below another
		time.Sleep(windows * window)
		sent := len(s.arrived(Live, Backfill)) - s.before(from)
		least := 0.96 // 98 % in windows of five minutes
		if *long {
			least = 0.97
		}
		used := float64(sent) / float64(windows*higher)
		t.Logf("of the higher limit %.1f %% are used", 100*used)
		if used < least {
			t.Errorf("less than %.0f %%", 100*least)
		}
		s.judge(higher)
		if n, _ := s.refusedSince(began); n > 0 {
			t.Errorf("%d requests were refused", n)
		}
	})
}

// TestARedoxThatRefusesAllIsAskedSeldom lets others use up the whole limit.
func TestARedoxThatRefusesAllIsAskedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := swift(0).Requests
		redox := &simRedox{limit: limit}
		s, fleet := fleetBefore(t, redox)
		window := redox.window
		time.Sleep(2 * window)
		s.set(func() { redox.limit = 0 })
		from := time.Now()
		for range limit / 8 {
			fleet[0].start(fleet[0].one)
		}
		time.Sleep(window / 10)
		n, _ := s.refusedSince(from)
		if n > limit/6 { // what could be granted when it began, and those under way
			t.Errorf("%d refusals at first", n)
		}
		from = time.Now()
		time.Sleep(6 * window)
		n, _ = s.refusedSince(from)
		t.Logf("%d refusals in 6 windows", n)
		if n > limit/3 {
			t.Error("it was asked too often")
		}
		s.set(func() { redox.limit = limit })
		time.Sleep(8 * window)
		n = len(s.arrived(Live, Backfill)) - s.before(time.Now().Add(-window))
		t.Logf("%d requests in the 8th window after it took some again; %+v", n, fleet[0].State())
		if n < limit/2 {
			t.Error("it came back too slowly")
		}
	})
}

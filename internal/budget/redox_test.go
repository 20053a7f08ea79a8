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
	states bool
	after  time.Duration
	taken  []time.Time
}

func (r *simRedox) judge(at time.Time) (Answer, bool) {
	for len(r.taken) > 0 && at.Sub(r.taken[0]) >= testWindow {
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

// fleetBefore starts three workers that send all they can to a Redox.
func fleetBefore(t *testing.T, redox *simRedox) (*sim, []*worker) {
	s := newSim(t, 11, fifth(0))
	s.refuse = redox.judge
	var fleet []*worker
	for range 3 {
		w := s.join(0, 0)
		w.greedy(Backfill, 30)
		w.live(0.2)
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
		if at.Sub(last) > 30*time.Second {
			bursts++
		}
		last = at
	}
	return n, bursts
}

// TestALowerLimitIsFound lets Redox take less than is believed and say nothing
// of it, as when others use the same address.
func TestALowerLimitIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redox := &simRedox{limit: 1000}
		s, fleet := fleetBefore(t, redox)
		began := time.Now()
		time.Sleep(4 * testWindow)
		n, bursts := s.refusedSince(began)
		t.Logf("in the first 4 windows %d refusals in %d bursts; then %+v", n, bursts, fleet[0].State())
		if n == 0 || n > 300 || bursts > 4 {
			t.Error("the limit was not found at once")
		}
		from := time.Now()
		time.Sleep(16 * testWindow)
		n, bursts = s.refusedSince(from)
		sent := len(s.arrived(Live, Backfill)) - s.before(from)
		used := float64(sent-n) / (16 * 1000)
		t.Logf("in the 16 windows that follow %d of %d refused, in %d bursts; %.1f %% of the limit used", n, sent, bursts, 100*used)
		if bursts > 4 || used < 0.85 {
			t.Error("it was asked too often, or too little was used")
		}
		// The others go away.
		s.set(func() { redox.limit = testLimit/5 + 200 })
		from = time.Now()
		for fleet[0].State().Effective < testLimit/5 {
			time.Sleep(time.Minute)
			if time.Since(from) > 30*testWindow {
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
	synctest.Test(t, func(t *testing.T) {
		redox := &simRedox{limit: testLimit / 5}
		s, fleet := fleetBefore(t, redox)
		time.Sleep(2 * testWindow)
		fleet[0].Heard(Answer{Refused: true, RetryAfter: 90 * time.Second})
		told := time.Now()
		if fleet[0].Available(Live) != 0 {
			t.Error("a refusal was followed by a request at once")
		}
		time.Sleep(2 * testWindow)
		if n := s.in(Live, told.Add(4*time.Second), told.Add(90*time.Second)) + s.in(Backfill, told.Add(4*time.Second), told.Add(90*time.Second)); n > 0 {
			t.Errorf("%d requests within the time that a refusal named", n)
		}
		if n := s.in(Backfill, told.Add(90*time.Second), told.Add(120*time.Second)); n == 0 {
			t.Error("nothing was sent after it")
		}
	})
}

// TestTheStatedLimitCounts lets Redox state its limit, and change it.
func TestTheStatedLimitCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redox := &simRedox{limit: 1000, states: true}
		s, fleet := fleetBefore(t, redox)
		began := time.Now()
		time.Sleep(3 * testWindow)
		if n, _ := s.refusedSince(began); n > 0 {
			t.Errorf("%d requests were refused though the limit was stated", n)
		}
		if state := fleet[1].State(); !state.Stated || state.Requests != 1000 || state.Effective != 1000 {
			t.Errorf("%+v, want the stated limit", state)
		}
		s.set(func() { redox.limit = 2000 })
		time.Sleep(3 * testWindow)
		if state := fleet[1].State(); state.Effective != 2000 {
			t.Errorf("%+v, want the higher limit", state)
		}
		if used := float64(s.in(Backfill, time.Now().Add(-testWindow), time.Now())+s.in(Live, time.Now().Add(-testWindow), time.Now())) / 2000; used < 0.97 {
			t.Errorf("of the higher limit %.1f %% are used", 100*used)
		}
		s.judge(2000)
		if n, _ := s.refusedSince(began); n > 0 {
			t.Errorf("%d requests were refused", n)
		}
	})
}

// TestARedoxThatRefusesAllIsAskedSeldom lets others use up the whole limit.
func TestARedoxThatRefusesAllIsAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redox := &simRedox{limit: testLimit / 5}
		s, fleet := fleetBefore(t, redox)
		time.Sleep(2 * testWindow)
		s.set(func() { redox.limit = 0 })
		from := time.Now()
		for range 200 {
			fleet[0].start(fleet[0].one)
		}
		time.Sleep(30 * time.Second)
		n, _ := s.refusedSince(from)
		if n > 250 { // what could be granted when it began, and those under way
			t.Errorf("%d refusals at first", n)
		}
		from = time.Now()
		time.Sleep(6 * testWindow)
		n, _ = s.refusedSince(from)
		t.Logf("%d refusals in 6 windows", n)
		if n > 500 {
			t.Error("it was asked too often")
		}
		s.set(func() { redox.limit = testLimit / 5 })
		time.Sleep(6 * testWindow)
		n = len(s.arrived(Live, Backfill)) - s.before(time.Now().Add(-testWindow))
		t.Logf("%d requests in the 6th window after it took some again; %+v", n, fleet[0].State())
		if n < 800 {
			t.Error("it came back too slowly")
		}
	})
}

package budget

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// used is the part of a class's share that arrived in the last window.
func (s *sim) used(class Class, share float64) float64 {
	now := time.Now()
	return float64(s.in(class, now.Add(-s.settings.Window), now)) / share
}

// long runs the simulations at full length; with the race detector that takes an
// hour or so.
var long = flag.Bool("budget.long", false, "run every fleet, many seeds, and windows of five minutes only")

// sized is the usual or the long form's number.
func sized(usual, longForm int) int {
	if *long {
		return longForm
	}
	return usual
}

func TestSteadyState(t *testing.T) {
	t.Parallel()
	fleets := []int{3}
	if *long {
		fleets = []int{1, 3, 10}
	}
	// Where requests may travel for a twentieth of the window, the record
	// counts much more than Redox does.
	slow := Settings{Requests: 400, Window: swiftWindow, Reserve: 0.2, Travel: swiftWindow / 20}
	for _, settings := range []Settings{fiveMinutes(0), fiveMinutes(0.2), slow} {
		for _, workers := range fleets {
			t.Run(fmt.Sprintf("%d workers, %s, reserve %v", workers, settings.Window, settings.Reserve), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { steady(t, workers, settings) })
			})
		}
	}
}

func steady(t *testing.T, workers int, settings Settings) {
	s, began := newSim(t, 7, settings), time.Now()
	window, reserve := settings.Window, settings.Reserve
	var fleet []*worker
	for i := range workers {
		w := s.join(time.Duration(i-1)*3*time.Second, float64(i%3-1)*1e-4)
		w.greedy(Backfill, 20)
		fleet = append(fleet, w)
	}
	time.Sleep(3 * window / 2) // the first is taken to be full, the second levels it out
	worst := 1.0
	for range sized(3, 10) {
		time.Sleep(window / 5)
		worst = min(worst, s.used(Backfill, float64(settings.Requests)*(1-reserve)))
	}
	if worst < 0.98 {
		t.Errorf("a window was used to %.2f %%", 100*worst)
	}
	fullest := s.judge(settings.Requests)
	least, most, ops := fleet[0].sent(Backfill), 0, 0
	for _, w := range fleet {
		least, most = min(least, w.sent(Backfill)), max(most, w.sent(Backfill))
		ops += w.link.operations()
	}
	// Without a reserve chance has a part in who comes first; and permits in hand
	// are not yet sent.
	if equal := min(0.8+reserve, 0.97); float64(least+10) < equal*float64(most) {
		t.Errorf("of equal workers one sent %d and one %d", least, most)
	}
	rate := float64(ops) / time.Since(began).Seconds() / float64(workers)
	if most := 3 / rulesOf(settings).every.Seconds(); rate > most {
		t.Errorf("%.2f operations of the store a second a worker", rate)
	}
	t.Logf("least used window %.2f %%, fullest %d of %d, shares %d to %d, %.2f operations a second a worker, %d bytes",
		100*worst, fullest, settings.Requests, least, most, rate, len(s.store.latest(false).value))
}

// TestNoWindowIsOverfull runs fleets through everything that can happen to
// them, and counts.
func TestNoWindowIsOverfull(t *testing.T) {
	t.Parallel()
	for seed := range uint64(sized(3, 150)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	settings := swift([]float64{0, 0, 0.2}[seed%3])
	if seed == 3 {
		settings = fiveMinutes(0)
	}
	dice := rand.New(rand.NewPCG(seed, 2))
	s := newSim(t, seed, settings)
	s.store.faults = simFaults{answer: 0.01, request: 0.01, stale: 0.05}
	s.store.wobble = s.inWindow(200 * time.Millisecond)
	join := func() *worker {
		w := s.join(time.Duration(dice.Int64N(int64(20*time.Second)))-10*time.Second, (dice.Float64()-0.5)*2e-4)
		w.greedy(Backfill, 30)
		w.live(0.2 + 2*dice.Float64())
		return w
	}
	var fleet []*worker
	for range 3 {
		fleet = append(fleet, join())
	}
	for range sized(40, 60) {
		time.Sleep(time.Duration(dice.Int64N(int64(s.inWindow(40 * time.Second)))))
		at := dice.IntN(len(fleet))
		switch dice.IntN(6) {
		case 0: // kill -9, and another in its place
			fleet[at].die()
			fleet[at] = join()
		case 1: // a deployment
			fleet[at].leave()
			fleet[at] = join()
		case 2: // the store is away for a while for one, or for all
			for _, w := range fleet[:1+dice.IntN(len(fleet))] {
				w.link.cut(true)
			}
			time.Sleep(time.Duration(dice.Int64N(int64(s.inWindow(time.Minute)))))
			for _, w := range fleet {
				w.link.cut(false)
			}
		case 3: // a burst
			for range 50 + dice.IntN(settings.Requests/2) {
				fleet[at].start(fleet[at].one)
			}
		case 4:
			if len(fleet) < 6 {
				fleet = append(fleet, join())
			}
		case 5: // all at once
			for i, w := range fleet {
				w.die()
				fleet[i] = join()
			}
		}
	}
	t.Logf("fullest %d of %d, %d sent", s.judge(settings.Requests), settings.Requests, len(s.arrived(Live, Backfill)))
}

// TestLiveIsNotHeldUp compares what live requests wait beside a backfill that
// takes all it can get with what they wait alone.
func TestLiveIsNotHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3, fiveMinutes(0.2))
		var fleet []*worker
		for range 3 {
			w := s.join(0, 0)
			w.live(1)
			fleet = append(fleet, w)
		}
		time.Sleep(testWindow)
		alone := s.takeWaits()
		for _, w := range fleet {
			w.greedy(Backfill, 20)
		}
		time.Sleep(testWindow)
		beside := s.takeWaits()
		t.Logf("of %d live requests alone: at hand %.2f %%, p99 %s, most %s", len(alone), atHand(alone), at(alone, 0.99), at(alone, 1))
		t.Logf("of %d beside backfill: at hand %.2f %%, p99 %s, most %s", len(beside), atHand(beside), at(beside, 0.99), at(beside, 1))
		if p := at(beside, 0.99); p > 0 {
			t.Errorf("the 99th percentile waited %s", p)
		}
		// A burst takes what is left at once: the reserve at least.
		began := time.Now()
		for range 1200 {
			fleet[0].start(fleet[0].one)
		}
		synctest.Wait()
		for len(s.waitsNow()) < 1200 {
			time.Sleep(10 * time.Millisecond)
			if time.Since(began) > 2*time.Second {
				t.Fatal("the burst was held up")
			}
		}
		t.Logf("1200 live requests at once were through after %s", time.Since(began))
		s.judge(testLimit)
	})
}

// TestLiveGoesFirst fills the window, and sees that backfill gets nothing while
// live requests wait.
func TestLiveGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 4, fiveMinutes(0))
		a, b := s.join(0, 0), s.join(0, 0)
		a.greedy(Backfill, 20)
		b.greedy(Backfill, 20)
		time.Sleep(2 * testWindow)
		b.greedy(Live, 200)
		time.Sleep(10 * time.Second) // what was granted before is spent
		from := time.Now()
		time.Sleep(time.Minute)
		live, backfill := s.in(Live, from, time.Now()), s.in(Backfill, from, time.Now())
		if live < 1400 || backfill > 15 {
			t.Errorf("in a minute %d live requests and %d for backfill", live, backfill)
		}
		s.judge(testLimit)
	})
}

// TestAnIdleWorkerCostsNothing sees that what is held goes back, and that no
// exchange follows.
func TestAnIdleWorkerCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 5, fiveMinutes(0.2))
		w := s.join(0, 0)
		w.start(w.one)
		time.Sleep(time.Minute)
		before := w.link.operations()
		if before == 0 || len(s.waitsNow()) != 1 {
			t.Fatalf("%d operations, %d requests", before, len(s.waitsNow()))
		}
		time.Sleep(time.Hour)
		if w.link.operations() != before {
			t.Errorf("%d operations while idle", w.link.operations()-before)
		}
		if r := s.record(); r.out() != 0 || len(r.Workers) != 0 {
			t.Errorf("an idle worker holds %d permits", r.out())
		}
	})
}

// TestATrickleOfLive sees that permits are at hand for requests that come now
// and then, and what that costs.
func TestATrickleOfLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 6, fiveMinutes(0.2))
		w := s.join(0, 0)
		w.live(0.5)
		time.Sleep(time.Minute)
		s.takeWaits()
		before := w.link.operations()
		time.Sleep(10 * time.Minute)
		waits := s.takeWaits()
		rate := float64(w.link.operations()-before) / 600
		t.Logf("%d requests, at hand %.2f %%, %.2f operations a second", len(waits), atHand(waits), rate)
		if atHand(waits) < 99 || rate > 0.5 {
			t.Error("too many waited, or it cost too much")
		}
	})
}

func (s *sim) record() *record {
	r, err := decode(s.store.latest(false).value, rulesOf(s.settings))
	if err != nil || r == nil {
		s.t.Fatal("no record", err)
	}
	return r
}

func (s *sim) takeWaits() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.waits
	s.waits = nil
	return out
}

func (s *sim) waitsNow() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.waits)
}

// at is a quantile of waits.
func at(waits []time.Duration, q float64) time.Duration {
	if len(waits) == 0 {
		return -1
	}
	sorted := slices.Sorted(slices.Values(waits))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// atHand is the percentage of requests that did not wait.
func atHand(waits []time.Duration) float64 {
	n := 0
	for _, w := range waits {
		if w == 0 {
			n++
		}
	}
	return 100 * float64(n) / float64(max(len(waits), 1))
}

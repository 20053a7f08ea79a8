package budget

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// sim is a fleet of workers in synctest's time, before a store that can fail
// and a judge that counts each request when it arrives.
type sim struct {
	t        *testing.T
	settings Settings
	store    *simStore
	ctx      context.Context
	all      sync.WaitGroup
	workers  int

	mu       sync.Mutex
	random   *rand.Rand
	arrivals [2][]time.Time
	waits    []time.Duration
	// refuse judges a request when it arrives; nil takes all.
	refuse func(at time.Time) (Answer, bool)
	// refused are when requests were refused.
	refused []time.Time
}

const (
	testLimit  = 7500
	testWindow = 5 * time.Minute
	// In a window as short as this one a worker exchanges the record a third as
	// often as in one of five minutes, and all else is in proportion: what does
	// not depend on the numbers of five minutes costs a third.
	swiftLimit  = 600
	swiftWindow = 20 * time.Second
)

func newSim(t *testing.T, seed uint64, settings Settings) *sim {
	ctx, cancel := context.WithCancel(t.Context())
	s := &sim{t: t, settings: settings, ctx: ctx, random: rand.New(rand.NewPCG(seed, 1))}
	s.store = &simStore{sim: s}
	t.Cleanup(func() { cancel(); s.all.Wait() })
	return s
}

func fiveMinutes(reserve float64) Settings {
	return Settings{Requests: testLimit, Window: testWindow, Reserve: reserve}
}

// swift is of a window and a limit that are worked through sooner; with
// -budget.long the window is of five minutes.
func swift(reserve float64) Settings {
	if *long {
		return Settings{Requests: testLimit / 5, Window: testWindow, Reserve: reserve}
	}
	return Settings{Requests: swiftLimit, Window: swiftWindow, Reserve: reserve}
}

// delay is the longest a request travels: half of what the budget allows for.
func (s *sim) delay() time.Duration { return min(s.settings.Window/200, time.Second) / 2 }

// inWindow is how long something takes that takes d in a window of five minutes.
func (s *sim) inWindow(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.settings.Window.Seconds() / testWindow.Seconds())
}

func (s *sim) float() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64()
}

func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.float() * float64(d)) }

// worker is one of the fleet.
type worker struct {
	*Budget
	sim    *sim
	link   *simLink
	stop   context.CancelFunc
	alive  context.Context
	mine   sync.WaitGroup
	closed chan struct{}
	mu     sync.Mutex
	done   [2]int
}

// join starts a worker whose clock is skewed and runs fast by drift.
func (s *sim) join(skew time.Duration, drift float64) *worker {
	s.workers++
	settings := s.settings
	settings.Worker = fmt.Sprintf("w%d", s.workers)
	began := time.Now()
	now := func() time.Time {
		passed := time.Since(began)
		return began.Add(skew + passed + time.Duration(drift*float64(passed)))
	}
	w := &worker{sim: s, link: &simLink{store: s.store}, closed: make(chan struct{})}
	var err error
	if w.Budget, err = New(settings, w.link, now, s.float, slog.New(slog.DiscardHandler)); err != nil {
		s.t.Fatal(err)
	}
	w.alive, w.stop = context.WithCancel(s.ctx)
	s.all.Go(func() { w.Run(w.alive); close(w.closed) })
	return w
}

// die ends a worker as kill -9 does.
func (w *worker) die() {
	w.link.cut(true)
	w.stop()
	w.mine.Wait()
}

// leave ends a worker in order.
func (w *worker) leave() {
	w.stop()
	w.mine.Wait()
	<-w.closed
}

// sent is how many requests of a class it made.
func (w *worker) sent(class Class) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done[class]
}

// start runs part of the worker's load until the worker ends.
func (w *worker) start(load func()) {
	w.mine.Add(1)
	w.sim.all.Go(func() { defer w.mine.Done(); load() })
}

// backfill is a dispatcher with a deep queue and slots, each for a job of two
// requests a second apart.
func (w *worker) backfill(slots int) {
	free := make(chan struct{}, slots)
	for range slots {
		free <- struct{}{}
	}
	w.start(func() {
		w.Want(Backfill, 2*slots)
		for {
			for w.Available(Backfill) >= 2 {
				select {
				case <-free:
				default:
					select {
					case <-free:
					case <-w.alive.Done():
						return
					}
				}
				if w.TryTake(Backfill, 1) {
					w.sim.send(w, Backfill)
				}
				w.start(func() {
					pause(w.alive, w.sim.upTo(2*time.Second))
					if w.Take(w.alive, Backfill, 1) == nil {
						w.sim.send(w, Backfill)
					}
					free <- struct{}{}
				})
			}
			select {
			case <-w.Changed():
			case <-w.alive.Done():
				return
			}
		}
	})
}

// greedy takes single requests for backfill in as many lines as given.
func (w *worker) greedy(class Class, lines int) {
	for range lines {
		w.start(func() {
			for w.Take(w.alive, class, 1) == nil {
				w.sim.send(w, class)
			}
		})
	}
}

// live makes requests at random times, rate a second, and notes what each waited.
func (w *worker) live(rate float64) {
	w.start(func() {
		for pause(w.alive, w.sim.upTo(time.Duration(2*float64(time.Second)/rate))) {
			w.start(func() { w.one() })
		}
	})
}

// one makes one live request.
func (w *worker) one() {
	began := time.Now()
	if w.Take(w.alive, Live, 1) != nil {
		return
	}
	waited := time.Since(began)
	w.sim.mu.Lock()
	w.sim.waits = append(w.sim.waits, waited)
	w.sim.mu.Unlock()
	w.sim.send(w, Live)
}

// pause sleeps unless ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send lets a request arrive after a delay of the network, and hands the answer
// to the worker as long after.
func (s *sim) send(w *worker, class Class) {
	w.mu.Lock()
	w.done[class]++
	w.mu.Unlock()
	delay := s.upTo(s.delay())
	at := time.Now().Add(delay)
	s.mu.Lock()
	s.arrivals[class] = append(s.arrivals[class], at)
	judge := s.refuse
	s.mu.Unlock()
	if judge == nil {
		return
	}
	s.all.Go(func() {
		if !pause(s.ctx, delay) {
			return
		}
		s.mu.Lock()
		answer, refused := judge(time.Now())
		if refused {
			s.refused = append(s.refused, time.Now())
		}
		s.mu.Unlock()
		if pause(s.ctx, s.upTo(s.delay())) {
			w.Heard(answer)
		}
	})
}

// arrived are all arrivals in their order.
func (s *sim) arrived(classes ...Class) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Time
	for _, class := range classes {
		out = append(out, s.arrivals[class]...)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// judge fails when any window of any phase held more requests than the limit,
// and gives the fullest.
func (s *sim) judge(limit int) (fullest int) {
	s.t.Helper()
	all := s.arrived(Live, Backfill)
	first := 0
	for i, at := range all {
		for at.Sub(all[first]) >= s.settings.Window {
			first++
		}
		fullest = max(fullest, i-first+1)
	}
	if fullest > limit {
		s.t.Errorf("a window held %d requests, the limit is %d", fullest, limit)
	}
	return fullest
}

// in counts the arrivals of a class from one time up to another.
func (s *sim) in(class Class, from, to time.Time) (n int) {
	for _, at := range s.arrived(class) {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

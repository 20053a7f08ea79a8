package budget

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// simStore is a record with a clock of its own, before a network.
type simStore struct {
	sim     *sim
	mu      sync.Mutex
	history []simRevision
	faults  simFaults
	// stepped is what the store's clock is off; wobble how much its servers'
	// clocks differ.
	stepped, wobble time.Duration
}

type simRevision struct {
	value    []byte
	revision uint64
	written  time.Time
}

// simFaults are how often what goes wrong: an answer lost, a request lost, a
// read that lags by a revision.
type simFaults struct{ answer, request, stale float64 }

var errAway = errors.New("away")

// simLink is one worker's way to the store.
type simLink struct {
	store *simStore
	mu    sync.Mutex
	down  bool
	ops   int
}

func (l *simLink) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// pass lets one message through after some milliseconds.
func (l *simLink) pass(ctx context.Context, lost float64) error {
	if !pause(ctx, l.store.sim.upTo(4*time.Millisecond)) {
		return ctx.Err()
	}
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down || l.store.sim.float() < lost {
		<-ctx.Done()
		return errAway
	}
	return nil
}

// operations is how many it asked of the store.
func (l *simLink) operations() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ops
}

func (l *simLink) count() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops++
}

func (l *simLink) Read(ctx context.Context) ([]byte, uint64, time.Time, error) {
	l.count()
	if err := l.pass(ctx, l.store.faults.request); err != nil {
		return nil, 0, time.Time{}, err
	}
	r := l.store.latest(l.store.sim.float() < l.store.faults.stale)
	if err := l.pass(ctx, l.store.faults.answer); err != nil {
		return nil, 0, time.Time{}, err
	}
	return r.value, r.revision, r.written, nil
}

func (l *simLink) Write(ctx context.Context, value []byte, revision uint64) (uint64, bool, error) {
	l.count()
	if err := l.pass(ctx, l.store.faults.request); err != nil {
		return 0, false, err
	}
	next, done := l.store.write(value, revision)
	if err := l.pass(ctx, l.store.faults.answer); err != nil {
		return 0, false, err
	}
	return next, done, nil
}

func (s *simStore) latest(stale bool) simRevision {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := len(s.history); {
	case n == 0:
		return simRevision{}
	case stale && n > 1:
		return s.history[n-2]
	default:
		return s.history[n-1]
	}
}

func (s *simStore) write(value []byte, revision uint64) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	if n := len(s.history); n > 0 {
		last = s.history[n-1].revision
	}
	if last != revision {
		return 0, false
	}
	at := time.Now().Add(s.stepped + s.sim.upTo(s.wobble))
	s.history = append(s.history, simRevision{value, last + 1, at})
	if len(s.history) > 600 {
		s.history = slices.Delete(s.history, 0, 300)
	}
	return last + 1, true
}

// step sets the store's clock.
func (s *simStore) step(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stepped += by
}

// lose forgets the record.
func (s *simStore) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = nil
}

// roll takes back the last n writes.
func (s *simStore) roll(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.history[max(len(s.history)-1-n, 0)]
	kept.revision = s.history[len(s.history)-1].revision
	s.history = []simRevision{kept}
}

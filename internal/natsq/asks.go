package natsq

import (
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// pace is how an Intake keeps time.
type pace struct {
	// heartbeat is how often the server speaks of a long ask that has nothing.
	heartbeat time.Duration
	// grace is how much longer than expected the server may be silent.
	grace time.Duration
	// sweep is how often silent asks are looked for.
	sweep time.Duration
	// sweepLost is how often stuck messages and overdue schedules are looked for; 0 is
	// never.
	sweepLost time.Duration
	// late is how long after its time a schedule is overdue.
	late time.Duration
	// term is how long the tenure of the lanes lasts without a renewal, and beat how
	// often at least its holder speaks.
	term, beat time.Duration
	// turn is how long a lane keeps its consumer while others wait for one, and list
	// how often lanes are listed while none holds jobs.
	turn, list time.Duration
}

// defaultPace notices a leader that died within 11 s, and a worker that looked after
// the lanes within 4 to 8 s.
var defaultPace = pace{
	heartbeat: 5 * time.Second, grace: time.Second, sweep: 500 * time.Millisecond,
	sweepLost: 30 * time.Second, late: time.Minute,
	term: 4 * time.Second, beat: time.Second, turn: 5 * time.Second, list: 5 * time.Second,
}

// long tells whether an ask of this wait gets heartbeats. A short one is over
// when its wait is. NATS: a pull request expires no sooner than two heartbeats.
func (p pace) long(wait time.Duration) bool { return wait > 2*p.heartbeat }

// silence is how long the server may say nothing of an ask.
func (p pace) silence(wait time.Duration) time.Duration {
	if p.long(wait) {
		return 2*p.heartbeat + p.grace
	}
	return wait + p.grace
}

// asks is the book of open asks. It does nothing else: no call of it blocks.
type asks struct {
	mu      sync.Mutex
	open    map[uint64]*ask
	byLane  map[schemas.Lane]uint64
	last    uint64
	stopped bool
}

// ask is an open pull request.
type ask struct {
	lane schemas.Lane
	// left is how many jobs have not come.
	left int
	// heard is when the server last spoke of it; silence is how long it may not.
	heard   time.Time
	silence time.Duration
	// life is the number of the connection's life it was sent in: a request
	// does not outlive its connection.
	life uint64
}

func newAsks() *asks {
	return &asks{open: map[uint64]*ask{}, byLane: map[schemas.Lane]uint64{}}
}

// add opens an ask and numbers it; not so for a lane that has one open, or
// after stop.
func (b *asks) add(a *ask) (number uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, busy := b.byLane[a.lane]; busy || b.stopped {
		return 0, false
	}
	b.last++
	b.open[b.last], b.byLane[a.lane] = a, b.last
	return b.last, true
}

// of is the open ask of a lane.
func (b *asks) of(lane schemas.Lane) (number uint64, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	number, open = b.byLane[lane]
	return number, open
}

// arrived books one job of lane to its open ask; number is 0 if there is none.
func (b *asks) arrived(lane schemas.Lane, now time.Time) (number uint64, finished, stopped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	number, ok := b.byLane[lane]
	if !ok {
		return 0, false, b.stopped
	}
	a := b.open[number]
	a.left--
	a.heard = now
	if a.left == 0 {
		b.forget(number, lane)
	}
	return number, a.left == 0, b.stopped
}

// heard notes a heartbeat.
func (b *asks) heard(number uint64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.open[number]; a != nil {
		a.heard = now
	}
}

// end closes an ask. ok is false for one that has ended before, so that each
// ends once; stopped says that nobody wants to know.
func (b *asks) end(number uint64) (a ask, ok, stopped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open, ok := b.open[number]
	if !ok {
		return ask{}, false, b.stopped
	}
	b.forget(number, open.lane)
	return *open, true, b.stopped
}

// forget removes an ask; the lock is held.
func (b *asks) forget(number uint64, lane schemas.Lane) {
	delete(b.open, number)
	delete(b.byLane, lane)
}

// dead lists the asks of which nothing is to be expected any more.
func (b *asks) dead(now time.Time, life uint64) []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var numbers []uint64
	for number, a := range b.open {
		if a.life != life || now.Sub(a.heard) > a.silence {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// stop refuses every further ask; first is true the first time.
func (b *asks) stop() (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first = !b.stopped
	b.stopped = true
	return first
}

package backfill

import (
	"sync"
	"time"
)

// paceWindow is how far back the pace of a run looks.
const paceWindow = time.Minute

// Pace is how fast lines end. Its zero value is ready.
type Pace struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

// Add takes in how many lines have ended, and gives how many do in a second: over the
// last minute, or since the first sample where that is less.
func (p *Pace) Add(at time.Time, done int64) (perSecond float64) {
	p.samples = append(p.samples, sample{at, done})
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= paceWindow {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if passed := at.Sub(first.at).Seconds(); passed > 0 {
		return float64(done-first.done) / passed
	}
	return 0
}

// Left is how long the lines that have not ended take at a pace; 0 where that is not known,
// or none are left.
func (t Tally) Left(perSecond float64) time.Duration {
	left := t.InFlight + t.Unfed
	if perSecond <= 0 || left == 0 {
		return 0
	}
	return time.Duration(float64(left) / perSecond * float64(time.Second)).Round(time.Second)
}

// meter is a Pace for several goroutines. Its zero value is ready.
type meter struct {
	mu        sync.Mutex
	pace      Pace
	perSecond float64
}

func (m *meter) step(at time.Time, done int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.perSecond = m.pace.Add(at, done)
	return m.perSecond
}

func (m *meter) read() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.perSecond
}

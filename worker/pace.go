package worker

import (
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

const (
	// slowAfter is how long a job may wait for somebody else before its slot goes
	// to others: for the answer to its message, for bytes to move, for a token, or
	// as a backfill job for the budget.
	slowAfter = 2 * time.Second
	// slowBytes is how many bytes must move in that time: 256 KiB a second.
	slowBytes = int64(256<<10) * int64(slowAfter/time.Second)
)

// wait is a job that has been waiting for a while.
type wait struct {
	slot *lanes.Slot
	wait lanes.Wait
}

// pace watches how fast one job gets on while it has to wait for others, and tells
// the dispatcher once it is slow. A destination that answers slowly or never, or
// whose bytes hardly move, must not keep the others' slots, nor a backfill
// live's.
type pace struct {
	slot *lanes.Slot
	slow chan<- wait
	// paid is called once: when a backfill job uses its room in the budget, or ends.
	paid func()
	over chan struct{}

	mu    sync.Mutex
	timer *time.Timer // nil while nothing is waited for
	bytes int64
}

func newPace(slot *lanes.Slot, slow chan<- wait, paid func()) *pace {
	if slot.Lane.Class != schemas.Backfill {
		paid = func() {}
	}
	return &pace{slot: slot, slow: slow, paid: sync.OnceFunc(paid), over: make(chan struct{})}
}

// begin watches a wait of a kind.
func (p *pace) begin(kind lanes.Wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt()
	p.watch(kind)
}

func (p *pace) watch(kind lanes.Wait) {
	p.bytes = 0
	var timer *time.Timer
	timer = time.AfterFunc(slowAfter, func() {
		p.mu.Lock()
		if p.timer != timer {
			p.mu.Unlock()
			return // it is over, or another one has begun
		}
		if kind == lanes.ForBytes && p.bytes >= slowBytes {
			p.watch(kind)
			p.mu.Unlock()
			return
		}
		// Asked again as long as it lasts: too many jobs may be slow at this moment.
		p.watch(kind)
		p.mu.Unlock()
		select {
		case p.slow <- wait{p.slot, kind}:
		case <-p.over:
		}
	})
	p.timer = timer
}

// moved notes bytes that have moved.
func (p *pace) moved(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(n)
}

// resume ends the watch of a wait.
func (p *pace) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt()
}

func (p *pace) halt() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// awaitBudget watches a wait for the budget. A live job has a right to its slot.
func (p *pace) awaitBudget() {
	if p.slot.Lane.Class == schemas.Backfill {
		p.begin(lanes.ForBudget)
	}
}

func (p *pace) admitted() {
	p.resume()
	p.paid()
}

// end is the end of the job.
func (p *pace) end() {
	p.paid()
	p.resume()
	close(p.over)
}

package natsq

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// board is the newest offer, for this worker to read.
type board struct {
	mu    sync.Mutex
	offer offer
	heard time.Time
	// changed gets a value when there is a newer offer.
	changed chan struct{}
}

func newBoard() *board { return &board{changed: make(chan struct{}, 1)} }

func (b *board) take(o offer, now time.Time) {
	b.mu.Lock()
	b.offer, b.heard = o, now
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// received takes in an offer of another worker.
func (b *board) received(msg *nats.Msg, self string) {
	var o offer
	if json.Unmarshal(msg.Data, &o) != nil || o.From == self {
		return
	}
	b.take(o, time.Now())
}

// silent reports whether no worker has told of the lanes for a while.
func (b *board) silent(now time.Time, while time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now.Sub(b.heard) >= while
}

// offers reports whether a lane can be asked already.
func (b *board) offers(tail string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.offer.Ask[tail]
	return ok
}

// newest is the offer that came last.
func (b *board) newest() offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offer
}

// unservable is how many jobs are on subjects that no consumer can have.
func (b *board) unservable() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offer.Unservable
}

// depths are the lanes of the newest offer.
func (b *board) depths() worker.Offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := worker.Offer{Scarce: b.offer.Scarce, Lanes: make([]worker.Depth, 0, len(b.offer.Ask)+len(b.offer.Probe))}
	first := make(map[string]bool, len(b.offer.First))
	for _, tail := range b.offer.First {
		first[tail] = true
	}
	add := func(lanes map[string]uint64, served bool) {
		for tail, jobs := range lanes {
			if lane, err := schemas.ParseTail(tail); err == nil {
				out.Lanes = append(out.Lanes, worker.Depth{Lane: lane, Jobs: jobs, Served: served, First: first[tail]})
			}
		}
	}
	add(b.offer.Ask, true)
	add(b.offer.Probe, false)
	return out
}

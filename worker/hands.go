package worker

import (
	"sync"
	"time"
)

// hands are the copies that this worker works on. Where the queue was away for
// longer than a lease, it delivers a copy again to the worker that still has
// it, whose message may have been sent and whose word to the ledger is on its
// way: a second handling would take the first for one that died while sending.
type hands struct {
	mu   sync.Mutex
	hold map[inHand]struct{}
}

// inHand tells a copy from every other.
type inHand struct {
	sequence uint64
	stored   time.Time
}

func newHands() *hands { return &hands{hold: map[inHand]struct{}{}} }

// take notes that the copy is worked on; false where it is already.
func (h *hands) take(d Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := inHand{d.Sequence(), d.Stored().UTC()}
	if _, has := h.hold[one]; has {
		return false
	}
	h.hold[one] = struct{}{}
	return true
}

func (h *hands) drop(d Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.hold, inHand{d.Sequence(), d.Stored().UTC()})
}

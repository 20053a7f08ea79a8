package worker

import (
	"sync"
	"time"
)

// inFlight are the copies that this worker works on. Where the queue was away for
// longer than a lease, it delivers a copy again to the worker that still has it, whose
// message may have been sent and whose write to the ledger is on its way. A second run
// would take the first for one that died while sending.
type inFlight struct {
	mu     sync.Mutex
	copies map[copyID]struct{}
}

// copyID tells a copy from every other.
type copyID struct {
	sequence uint64
	stored   time.Time
}

func idOf(d Delivery) copyID { return copyID{d.Sequence(), d.Stored().UTC()} }

func newInFlight() *inFlight { return &inFlight{copies: map[copyID]struct{}{}} }

// take notes that the copy is worked on; false where it is already.
func (f *inFlight) take(d Delivery) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := idOf(d)
	if _, has := f.copies[id]; has {
		return false
	}
	f.copies[id] = struct{}{}
	return true
}

func (f *inFlight) drop(d Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.copies, idOf(d))
}

package natsq

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// lanesMade are the lanes whose consumers this worker has made, those that wait
// for another try, and those that held jobs when they were last listed.
type lanesMade struct {
	mu     sync.Mutex
	all    map[schemas.Lane]bool
	failed map[schemas.Lane]failedMake
	held   []schemas.Lane
}

// failedMake is a consumer that could not be made.
type failedMake struct {
	wait time.Duration
	// again is when the next try may be.
	again time.Time
}

// The wait for the next try doubles from the first to the longest.
const (
	firstMakeWait   = 2 * time.Second
	longestMakeWait = time.Minute
)

// list notes a listing and gives the lanes whose consumers are to be made now:
// first those never tried, then those that have waited longest for another try.
// What failed of a lane that holds no job any more is forgotten.
func (m *lanesMade) list(found map[schemas.Lane]uint64, now time.Time) []schemas.Lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.failed, func(lane schemas.Lane, _ failedMake) bool { _, holds := found[lane]; return !holds })
	var due []schemas.Lane
	for lane := range found {
		if !m.all[lane] && !now.Before(m.failed[lane].again) {
			due = append(due, lane)
		}
	}
	slices.SortFunc(due, func(a, b schemas.Lane) int { return m.failed[a].again.Compare(m.failed[b].again) })
	return due
}

// ready gives those of the lanes found that can be asked, and keeps them for
// listed.
func (m *lanesMade) ready(found map[schemas.Lane]uint64) []worker.Depth {
	m.mu.Lock()
	defer m.mu.Unlock()
	depths := make([]worker.Depth, 0, len(found))
	held := make([]schemas.Lane, 0, len(found))
	for lane, n := range found {
		if m.all[lane] {
			depths, held = append(depths, worker.Depth{Lane: lane, Jobs: n}), append(held, lane)
		}
	}
	m.held = held
	return depths
}

// listed are the lanes that held jobs a moment ago, in no order.
func (m *lanesMade) listed() []schemas.Lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

func (m *lanesMade) add(lane schemas.Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[schemas.Lane]bool{}
	}
	m.all[lane] = true
	delete(m.failed, lane)
}

// fail notes a try that failed.
func (m *lanesMade) fail(lane schemas.Lane, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == nil {
		m.failed = map[schemas.Lane]failedMake{}
	}
	wait := min(max(2*m.failed[lane].wait, firstMakeWait), longestMakeWait)
	m.failed[lane] = failedMake{wait, now.Add(wait)}
}

func (m *lanesMade) forget(lane schemas.Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, lane)
}

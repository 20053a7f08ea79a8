package worker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/chartpost/chartpost/schemas"
)

// memory bounds what the jobs in hand keep in memory for as long as they are: their
// text, the message in it, and the message as it is sent. Jobs that wait for an answer
// or for an upload keep no slot, but they keep this.
//
// Large jobs have a room of their own, so that no small one waits for them. A lane has
// at most half of a room, so that none can keep the others' jobs out.
type memory struct{ large, small *memoryRoom }

const (
	// largeJob is from how many bytes on a job is large.
	largeJob = 64 << 10
	// largeRoom and smallRoom are in bytes: 11 jobs as large as a job may be, and some
	// 300 of the usual size.
	largeRoom, smallRoom = 32 << 20, 12 << 20
	// keptOfAJob is how often a job keeps its text, and ofAnyJob what it keeps beside.
	keptOfAJob, ofAnyJob = 3, 16 << 10
)

// memoryWait is how long a job waits for room in its slot, and memoryPause for how long
// it goes back to its lane then, where it keeps nothing.
const (
	memoryWait  = time.Second
	memoryPause = 2 * time.Second
)

func newMemory() *memory {
	return &memory{large: newMemoryRoom(largeRoom), small: newMemoryRoom(smallRoom)}
}

// take waits for room for a job of a lane and of a size, and gives how to leave it; false
// where there is none in time. Whoever asked first is first, so that a large job comes to
// its turn among smaller ones.
func (m *memory) take(ctx context.Context, lane schemas.Lane, size int) (leave func(), ok bool) {
	weight := int64(size)*keptOfAJob + ofAnyJob
	if size >= largeJob {
		return m.large.take(ctx, lane, weight)
	}
	return m.small.take(ctx, lane, weight)
}

// memoryRoom is a part of the memory.
type memoryRoom struct {
	size int64
	free *semaphore.Weighted
	mu   sync.Mutex
	// held is what each lane has, in bytes.
	held map[schemas.Lane]int64
}

func newMemoryRoom(size int64) *memoryRoom {
	return &memoryRoom{size: size, free: semaphore.NewWeighted(size), held: map[schemas.Lane]int64{}}
}

func (r *memoryRoom) take(ctx context.Context, lane schemas.Lane, weight int64) (leave func(), ok bool) {
	weight = min(weight, r.size) // what is larger has the room alone
	if !r.book(lane, weight) {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, memoryWait)
	defer cancel()
	if r.free.Acquire(ctx, weight) != nil {
		r.book(lane, -weight)
		return nil, false
	}
	return func() {
		r.free.Release(weight)
		r.book(lane, -weight)
	}, true
}

// book counts bytes to a lane; false where they are more than a lane may have. Any lane
// may have one job.
func (r *memoryRoom) book(lane schemas.Lane, weight int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held[lane] + weight
	if weight > 0 && held > weight && held > r.size/2 {
		return false
	}
	if r.held[lane] = held; held == 0 {
		delete(r.held, lane)
	}
	return true
}

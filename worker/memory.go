package worker

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// memory bounds what the jobs in hand keep in memory for as long as they are: their
// text, the message in it, and the message as it is sent. Jobs that wait for an answer
// or for an upload keep no slot, but they keep this.
//
// Large jobs have a room of their own, so that no small one waits for them.
type memory struct{ large, small *semaphore.Weighted }

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

func newMemory() memory {
	return memory{large: semaphore.NewWeighted(largeRoom), small: semaphore.NewWeighted(smallRoom)}
}

// take waits for room for a job of a size, and gives how to leave it; false where
// there is none in time. Whoever asked first is first, so that a large job comes to
// its turn among smaller ones.
func (m memory) take(ctx context.Context, size int) (leave func(), ok bool) {
	room, most := m.small, int64(smallRoom)
	if size >= largeJob {
		room, most = m.large, largeRoom
	}
	weight := min(int64(size)*keptOfAJob+ofAnyJob, most) // what is larger has the room alone
	ctx, cancel := context.WithTimeout(ctx, memoryWait)
	defer cancel()
	if room.Acquire(ctx, weight) != nil {
		return nil, false
	}
	return func() { room.Release(weight) }, true
}

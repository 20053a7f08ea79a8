package intake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// LaneDepths bounds how many jobs wait in a lane. It counts what this process adds, and
// asks the queue again when half of the room it saw is used, or after a while.
type LaneDepths struct {
	queue Queue
	most  uint64
	now   func() time.Time

	mu    sync.Mutex
	lanes map[schemas.Lane]*depth
}

type depth struct {
	read time.Time
	// left is how many jobs may still be added before the queue is asked again; full says
	// that there was no room.
	left uint64
	full bool
}

const (
	// depthHolds is how long a reading counts, and fullHolds how long that of a full lane.
	depthHolds, fullHolds = 10 * time.Second, time.Second
	// mostDepths bounds the readings that are kept.
	mostDepths = 10_000
)

// NewLaneDepths allows most jobs in a lane.
func NewLaneDepths(queue Queue, most uint64, now func() time.Time) *LaneDepths {
	return &LaneDepths{queue: queue, most: most, now: now, lanes: map[schemas.Lane]*depth{}}
}

// Room implements Depths.
func (d *LaneDepths) Room(ctx context.Context, lane schemas.Lane) error {
	if full, known := d.take(lane); known {
		return d.refused(full)
	}
	waiting, err := d.queue.Depth(ctx, lane)
	if err != nil {
		return queueAway(err)
	}
	d.note(lane, waiting)
	full, _ := d.take(lane)
	return d.refused(full)
}

func (d *LaneDepths) take(lane schemas.Lane) (full, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.lanes[lane]
	switch {
	case seen == nil || seen.full && d.now().Sub(seen.read) > fullHolds || d.now().Sub(seen.read) > depthHolds:
		return false, false
	case seen.full:
		return true, true
	case seen.left == 0:
		return false, false
	}
	seen.left--
	return false, true
}

func (d *LaneDepths) note(lane schemas.Lane, waiting uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lanes) >= mostDepths {
		clear(d.lanes)
	}
	seen := &depth{read: d.now(), full: waiting >= d.most}
	if !seen.full {
		seen.left = (d.most - waiting + 1) / 2
	}
	d.lanes[lane] = seen
}

func (d *LaneDepths) refused(full bool) error {
	if !full {
		return nil
	}
	return &Refusal{Kind: Quota, Code: "lane_full", RetryAfter: 5 * time.Second,
		Detail: fmt.Sprintf("%d jobs wait in that lane, as many as may; send it again when some have ended", d.most)}
}

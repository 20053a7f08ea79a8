package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// oldest keeps when the oldest jobs of lanes were stored. The queue is asked
// when the metrics are read, not more often than every few seconds however often
// that is, and the lanes asked longest ago come first when there is no time for
// all of them.
type oldest struct {
	ask func(ctx context.Context, lane schemas.Lane) (time.Time, bool, error)

	mu    sync.Mutex
	asked time.Time
	known map[schemas.Lane]birth
}

// birth is when a lane's oldest job was stored; a zero time is none.
type birth struct{ stored, asked time.Time }

const (
	// oldestEvery is between two rounds.
	oldestEvery = 5 * time.Second
	// oldestAtOnce is how many lanes are asked for at once.
	oldestAtOnce = 4
	// oldestGood is how long an answer is told without a new one.
	oldestGood = 2 * time.Minute
)

func newOldest(ask func(ctx context.Context, lane schemas.Lane) (time.Time, bool, error)) *oldest {
	return &oldest{ask: ask, known: map[schemas.Lane]birth{}}
}

// of gives when the oldest jobs of lanes that hold some were stored.
func (o *oldest) of(lanes []worker.LaneLook, now time.Time) map[schemas.Lane]time.Time {
	if o.ask == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.asked) >= oldestEvery {
		o.round(lanes, now)
	}
	born := map[schemas.Lane]time.Time{}
	for lane, b := range o.known {
		if !b.stored.IsZero() {
			born[lane] = b.stored
		}
	}
	return born
}

// round asks for the lanes that hold jobs, and forgets the others.
func (o *oldest) round(lanes []worker.LaneLook, now time.Time) {
	var due []schemas.Lane
	before := o.known
	o.known = make(map[schemas.Lane]birth, len(lanes))
	for _, l := range lanes {
		if l.Jobs == 0 {
			continue
		}
		due = append(due, l.State.Lane)
		if b, ok := before[l.State.Lane]; ok && now.Sub(b.asked) < oldestGood {
			o.known[l.State.Lane] = b
		}
	}
	slices.SortFunc(due, func(a, b schemas.Lane) int { return o.known[a].asked.Compare(o.known[b].asked) })
	ctx, cancel := context.WithTimeout(context.Background(), oldestTime)
	defer cancel()
	o.askAll(ctx, due, now)
	o.asked = time.Now()
}

func (o *oldest) askAll(ctx context.Context, due []schemas.Lane, now time.Time) {
	var answers sync.Mutex
	var all sync.WaitGroup
	next := make(chan schemas.Lane)
	for range min(oldestAtOnce, len(due)) {
		all.Go(func() {
			for lane := range next {
				stored, ok, err := o.ask(ctx, lane)
				if err != nil {
					continue // what was known stands for a while
				}
				if !ok {
					stored = time.Time{}
				}
				answers.Lock()
				o.known[lane] = birth{stored, now}
				answers.Unlock()
			}
		})
	}
	for _, lane := range due {
		if ctx.Err() != nil {
			break
		}
		next <- lane
	}
	close(next)
	all.Wait()
}

package worker

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Line is the line of a backfill run that a copy of a job was published for; the
// zero Line is of no run. It belongs to the copy, and to those that schedules make of
// it, not to the job.
type Line struct {
	Run    string
	Number int64
	// Replayed: a person published the copy again from the dead letters. It goes on
	// whatever becomes of the run.
	Replayed bool
}

// labeled reports whether a correlation names this line.
func (l Line) labeled(correlation map[string]string) bool {
	return l.Run != "" && correlation[schemas.LabelRun] == l.Run && correlation[schemas.LabelLine] == strconv.FormatInt(l.Number, 10)
}

// runs are the backfill runs that were cancelled. A job of one is not sent. They are
// kept here, so that no job costs a question.
type runs struct {
	mu        sync.Mutex
	cancelled map[string]bool
	// listed is closed once all runs have been told of.
	listed chan struct{}
	once   sync.Once
}

func newRuns() *runs { return &runs{cancelled: map[string]bool{}, listed: make(chan struct{})} }

func (r *runs) follow(ctx context.Context, control Control) {
	control.FollowRuns(ctx, r.set, func() { r.once.Do(func() { close(r.listed) }) })
}

func (r *runs) set(run string, cancelled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancelled {
		r.cancelled[run] = true
		return
	}
	delete(r.cancelled, run)
}

// known reports whether all runs have been told of.
func (r *runs) known() bool {
	select {
	case <-r.listed:
		return true
	default:
		return false
	}
}

// listingTime is how long a job in hand waits until the runs are known: for the
// blink of a listing, at the start of a worker. Where that fails, it must not keep
// its slot from others.
const listingTime = 5 * time.Second

var errRunsUnknown = errors.New("the backfill runs have not been listed")

// has reports whether the run was cancelled. It fails where that is not known: then
// nothing may be sent.
func (r *runs) has(ctx context.Context, run string) (bool, error) {
	if run == "" {
		return false, nil
	}
	if !r.known() {
		timer := time.NewTimer(listingTime)
		defer timer.Stop()
		select {
		case <-r.listed:
		case <-timer.C:
			return false, errRunsUnknown
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cancelled[run], nil
}

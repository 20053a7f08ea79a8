package worker

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
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

// correlation is the job's, without labels of a run that did not publish this copy.
func (h *handling) correlation() map[string]string {
	labels := h.job.Correlation
	_, run := labels[schemas.LabelRun]
	_, line := labels[schemas.LabelLine]
	if !run && !line || h.delivery.Line().labeled(labels) {
		return labels
	}
	own := maps.Clone(labels)
	delete(own, schemas.LabelRun)
	delete(own, schemas.LabelLine)
	return own
}

// cancels are the runs that were cancelled. A job of one is not sent. They are
// kept here, so that no job costs a question.
type cancels struct {
	mu   sync.Mutex
	runs map[string]bool
	// listed is closed once all runs have been told of.
	listed chan struct{}
	once   sync.Once
}

func newCancels() *cancels { return &cancels{runs: map[string]bool{}, listed: make(chan struct{})} }

func (c *cancels) follow(ctx context.Context, control Control) {
	control.FollowRuns(ctx, c.set, func() { c.once.Do(func() { close(c.listed) }) })
}

func (c *cancels) set(run string, cancelled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancelled {
		c.runs[run] = true
		return
	}
	delete(c.runs, run)
}

// known tells whether all runs have been told of.
func (c *cancels) known() bool {
	select {
	case <-c.listed:
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

// has tells whether the run was cancelled. It fails where that is not known: then
// nothing may be sent.
func (c *cancels) has(ctx context.Context, run string) (bool, error) {
	if run == "" {
		return false, nil
	}
	if !c.known() {
		timer := time.NewTimer(listingTime)
		defer timer.Stop()
		select {
		case <-c.listed:
		case <-timer.C:
			return false, errRunsUnknown
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runs[run], nil
}

// informed is the budget of a worker that takes no backfill job before it knows
// which runs were cancelled: the job would only wait, in a slot.
type informed struct {
	Budget
	cancels *cancels
}

func (b informed) Room() int {
	if !b.cancels.known() {
		return 0
	}
	return b.Budget.Room()
}

// runCancelled tells whether the job is not wanted any more.
func (h *handling) runCancelled(ctx context.Context) (bool, error) {
	line := h.delivery.Line()
	if line.Replayed {
		return false, nil
	}
	cancelled, err := h.cancels.has(ctx, line.Run)
	if err != nil {
		return false, queueFault("it could not be learned whether the backfill run of the job was cancelled", err)
	}
	return cancelled, nil
}

const codeCancelled = "run_cancelled"

// cancelled is the fault of a job whose run an operator has cancelled.
func cancelled() *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codeCancelled,
		Text: "an operator has cancelled the backfill run of the job; its message was not sent"}
}

// withdrawn is what becomes of a job of a cancelled run in place of out. doubted
// says that its message was sent before and may have been taken: then nobody may
// say that it was not sent. What has ended by itself stays as it is.
func withdrawn(out fate, doubted bool) fate {
	ended := out.phase == job.Held || out.phase == job.Failed && out.reason.Code != codeCancelled
	switch {
	case ended:
		return out
	case !doubted:
		return fate{phase: job.Cancelled, reason: reasonOf(cancelled())}
	}
	reason := out.reason
	if reason.Kind != string(fault.UnknownOutcome) {
		reason = reasonOf(&fault.Fault{Kind: fault.UnknownOutcome, Code: codeCancelled,
			Text: "an operator has cancelled the backfill run of the job; its message is not sent again, and an earlier sending may have been taken"})
	}
	return fate{phase: job.Held, reason: reason}
}

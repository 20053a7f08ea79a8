package worker

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

const (
	codePredecessorOpen   = "predecessor_open"
	codePredecessorFailed = "predecessor_failed"
)

const (
	// UnseenFor is how long a job waits for a predecessor that the ledger does not
	// know. It outlasts what a program that publishes both needs, with room for one
	// that is in another lane.
	UnseenFor = time.Hour
	// leastUnseen is at how many looks it must have been missing: a lane that was
	// paused in between is no reason to give a job up at the first look after it.
	leastUnseen = 4
	// longestFollow bounds the wait between two looks where nothing tells when the
	// predecessor's next attempt is.
	longestFollow = 10 * time.Minute
)

// turn is what a look at the predecessor means for the job.
type turn int

const (
	goOn turn = iota
	putOff
	giveUp
)

// look notes in p what the ledger says of the predecessor, known or not, and says
// whether the job may go on.
func look(p *job.Predecessor, found job.Record, known bool, now time.Time, unseenFor time.Duration) turn {
	switch {
	case known && found.Phase == job.Accepted:
		p.Accepted = true
		return goOn
	case known && found.Open():
		p.Unseen, p.UnseenSince = 0, time.Time{}
		return putOff
	case known:
		return giveUp
	}
	if p.Unseen++; p.Unseen == 1 {
		p.UnseenSince = now
	}
	if p.Unseen >= leastUnseen && now.Sub(p.UnseenSince) >= unseenFor {
		return giveUp
	}
	return putOff
}

// comesBack is when a job that was put off looks again: not before the predecessor's
// own next attempt can have ended. The wait grows all the same, or jobs that wait for
// each other would look again and again.
func (p Patience) comesBack(waits int, found job.Record, now time.Time, jitter float64) time.Time {
	p.Longest = min(p.Longest, max(longestFollow, p.First))
	at := now.Add(p.wait(waits, jitter))
	if found.Phase != job.Waiting {
		return at
	}
	if next := found.NextAttemptAt.Add(p.wait(1, jitter)); next.After(at) {
		return next
	}
	return at
}

// precede looks for the job that this one comes after, and reports whether this one
// may go on. Otherwise it has been put off or ended.
func (h *handling) precede(ctx context.Context) bool {
	if h.job.After == "" {
		h.record.Predecessor = nil
		return true
	}
	if p := h.record.Predecessor; p != nil && p.ID == h.job.After && p.Accepted {
		return true
	}
	p := job.Predecessor{ID: h.job.After}
	if was := h.record.Predecessor; was != nil && was.ID == p.ID {
		p = *was
	}
	// The destination is the lane's: no other job can be learned of.
	var found job.Record
	var known bool
	err := h.step(StepPrecede, func() (err error) {
		found, known, err = h.ledger.Find(ctx, schemas.KeyOf(h.delivery.Lane(), p.ID))
		return err
	})
	if err != nil {
		h.setAside(ctx, err)
		return false
	}
	now, _ := h.queueNow()
	next := look(&p, found, known, now, h.patience.Unseen)
	h.record.Predecessor = &p
	switch next {
	case giveUp:
		h.conclude(ctx, predecessorFailed(found, known))
		return false
	case putOff:
		h.follow(ctx, found, now)
		return false
	}
	return true
}

// follow brings the job back later. It has not been tried, so that its attempt is
// not counted: the schedule carries the number that this copy had.
func (h *handling) follow(ctx context.Context, found job.Record, now time.Time) {
	left := h.job.Deadline().Sub(now)
	if left < h.patience.First/2 {
		h.conclude(ctx, predecessorOpen()) // no time left: it expires
		return
	}
	h.met(predecessorOpen())
	h.result = lanes.Result{Job: h.job.ID}
	r := &h.record
	r.Predecessor.Waits++
	reason := reasonOf(predecessorOpen())
	r.Phase, r.Attempt, r.Reason = job.Waiting, r.Attempt-1, &reason
	r.NextAttemptAt = h.patience.comesBack(r.Predecessor.Waits, found, now, h.jitter())
	if last := now.Add(left - h.patience.First/4); r.NextAttemptAt.After(last) {
		r.NextAttemptAt = last
	}
	settling, cancel := h.outlive(ctx)
	defer cancel()
	if err := h.save(settling); err != nil {
		h.setAside(ctx, err)
		return
	}
	if untold(r) {
		h.decided(schemas.StatusRetrying)
	}
	h.log.Info("put off until the job that it comes after is accepted", "job", h.job.ID, "attempt", r.Attempt+1)
	h.settle(ctx)
}

// untold reports whether a job that waits has told of it already: one event says
// that it waits for its predecessor, however often it looks.
func untold(r *job.Record) bool {
	return r.Phase != job.Waiting || r.Reason == nil || r.Reason.Code != codePredecessorOpen || r.Predecessor == nil || r.Predecessor.Waits <= 1
}

// predecessorOpen is the fault of a job whose predecessor has not been accepted yet.
func predecessorOpen() *fault.Fault {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: codePredecessorOpen, Path: "/after",
		Text: "the job that it comes after has not been accepted yet"}
}

// predecessorFailed is the fault of a job whose predecessor will not be accepted.
func predecessorFailed(found job.Record, known bool) *fault.Fault {
	text := "the ledger does not know the job that it comes after"
	if known {
		text = "the job that it comes after ended as " + string(statusOf(found.Phase))
	}
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codePredecessorFailed, Path: "/after", Text: text + "; its message was not sent"}
}

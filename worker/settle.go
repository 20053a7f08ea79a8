package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// settleTime bounds the publishing of what the ledger already says. It outlasts
// an election of a new leader several times.
const settleTime = time.Minute

// outlive gives a context for what must be finished although the worker stops.
func (h *handling) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := h.untilEnd(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	return ctx, func() { cancel(); end() }
}

// untilEnd ends ctx with the time that a stopping worker has for its last words.
func (s sights) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.end, cancel)
	return ctx, func() { stop(); cancel() }
}

// settle does what follows from the record: schedule or bury, tell, acknowledge,
// in this order. Each step may be repeated, here or by another worker, and the
// acknowledgement comes last, so that nothing is lost in between.
func (h *handling) settle(ctx context.Context) {
	settling, cancel := h.outlive(ctx)
	defer cancel()
	err := h.step(StepSettle, func() error { return h.publish(settling) })
	if f := fault.Of(err); f != nil && f.Kind == fault.Permanent && h.record.Phase == job.Waiting {
		err = h.cannotWait(settling, f)
	}
	if err != nil {
		// The ledger has the decision: the redelivery comes back to this step.
		h.setAside(ctx, err)
		return
	}
	h.ack(settling)
}

// cannotWait ends a job whose schedule the queue can never take. It was told of
// nothing yet.
func (h *handling) cannotWait(ctx context.Context, f *fault.Fault) error {
	out := fate{phase: job.Failed, reason: reasonOf(f)}
	if h.record.PossibleDuplicate || h.record.Doubts > 0 {
		out = undecided(out)
	}
	h.log.Warn("a job cannot be scheduled for its next attempt, and ends", "job", h.job.ID, "code", f.Code, "text", f.Text)
	h.met(f)
	h.record.Phase, h.record.Reason, h.record.NextAttemptAt = out.phase, &out.reason, time.Time{}
	if err := h.save(ctx); err != nil {
		return err
	}
	h.decided(statusOf(out.phase))
	return h.publish(ctx)
}

func (h *handling) publish(ctx context.Context) error {
	r := &h.record
	status := statusOf(r.Phase)
	switch r.Phase {
	case job.Waiting:
		err := h.outbox.Later(ctx, Schedule{
			Lane: h.delivery.Lane(), JobID: h.job.ID, Data: h.delivery.Data(), Attempt: r.Attempt + 1, Line: h.delivery.Line(), At: r.NextAttemptAt,
		})
		if err != nil {
			return queueFault("the schedule of the next attempt could not be written", err)
		}
	case job.Failed, job.Held:
		if err := h.bury(ctx, status, *r.Reason); err != nil {
			return err
		}
	}
	if !untold(r) {
		return nil
	}
	return h.tell(ctx, status, r.Reason)
}

// bury writes a dead letter. Its key has the sequence of the copy: each copy
// ends once, and two that end alike, under a reused id or after the record was
// removed, must not be taken for one.
func (h *handling) bury(ctx context.Context, status schemas.Status, reason schemas.Reason) error {
	err := h.outbox.Bury(ctx, DeadLetter{
		Lane: h.delivery.Lane(), Data: h.delivery.Data(), JobID: h.job.ID, After: h.job.After, Status: status, Reason: reason, Line: h.delivery.Line(),
		Key:               fmt.Sprintf("dead/%d/%s/%d/%s", h.delivery.Sequence(), h.digest[:16], h.record.Attempt, status),
		PossibleDuplicate: h.record.PossibleDuplicate,
	})
	if err != nil {
		return queueFault("the dead letter could not be written", err)
	}
	return nil
}

// tellDuplicate ends a second copy of a job that needs no second delivery. If
// it is not the same job but another under the same id, it goes to the dead
// letters too: a document must not vanish because of a reused id.
func (h *handling) tellDuplicate(ctx context.Context, entry admission) {
	settling, cancel := h.outlive(ctx)
	defer cancel()
	var reason *schemas.Reason
	if entry == concurrent {
		reason = &schemas.Reason{Kind: kindPermanent, Code: "in_progress", Text: "a job with this id is under way; this copy was dropped"}
	}
	if h.record.Digest != h.digest {
		reason = &schemas.Reason{Kind: kindPermanent, Code: "id_reused", Path: "/id",
			Text: "another job with this id came before and its content differs; this one was not sent and is in the dead letters"}
		// Of the job in this copy nothing was tried, sent or received: what the
		// record says is the other's.
		h.record = job.Record{}
		if err := h.bury(settling, schemas.StatusDuplicate, *reason); err != nil {
			h.setAside(ctx, err)
			return
		}
	}
	if err := h.tell(settling, schemas.StatusDuplicate, reason); err != nil {
		h.setAside(ctx, err)
		return
	}
	h.decided(schemas.StatusDuplicate)
	h.ack(settling)
}

const kindPermanent = "permanent"

// Uploaded implements pipeline.Progress: the event is on its way while the
// message is sent.
func (h *handling) Uploaded(record *job.Record) {
	event := h.event(schemas.StatusUploaded, record, nil)
	h.uploads = make(chan error, 1)
	ctx, cancel := h.outlive(schemas.WithTrace(h.end, h.watch.Trace()))
	go func() {
		defer cancel()
		h.uploads <- h.outbox.Tell(ctx, h.delivery.Lane(), event)
	}()
}

func (h *handling) tell(ctx context.Context, status schemas.Status, reason *schemas.Reason) error {
	if err := h.awaitUploads(); err != nil {
		return queueFault("an event could not be published", err)
	}
	if err := h.outbox.Tell(ctx, h.delivery.Lane(), h.event(status, &h.record, reason)); err != nil {
		return queueFault("an event could not be published", err)
	}
	return nil
}

// queueFault says what the queue did not take. Its own error stays unprinted, unless it
// was judged already.
func queueFault(text string, err error) error {
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		told := *f
		told.Text = text + ": " + f.Text
		return &told
	}
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "queue_unavailable", Text: text, Cause: err}
}

// awaitUploads waits until the uploaded event is out, if one is on its way.
func (h *handling) awaitUploads() error {
	if h.uploads == nil {
		return nil
	}
	err := <-h.uploads
	h.uploads = nil
	return err
}

func (h *handling) event(status schemas.Status, r *job.Record, reason *schemas.Reason) schemas.Event {
	data := schemas.EventData{
		JobID:             h.job.ID,
		Operation:         h.job.Operation,
		Class:             h.delivery.Lane().Class,
		Destination:       h.delivery.Lane().Destination,
		Status:            status,
		Attempt:           r.Attempt,
		Reason:            reason,
		PossibleDuplicate: r.PossibleDuplicate,
		Files:             r.EventFiles(),
		Receipt:           r.Receipt,
		Correlation:       h.correlation(),
	}
	if status == schemas.StatusRetrying {
		data.NextAttemptAt = r.NextAttemptAt
	}
	event := schemas.NewEvent(h.prefix, data, h.now())
	if status == schemas.StatusDuplicate || status == schemas.StatusUnknown && h.page == nil {
		// Each copy of the job ends so, without a record that counts them.
		event.ID = schemas.DuplicateID(event.ID, h.delivery.Sequence())
	}
	return event
}

// ack ends the copy. An acknowledgement that cannot be confirmed is no fault:
// the copy comes back and is settled again from the ledger.
func (h *handling) ack(ctx context.Context) {
	h.lease.release()
	if err := h.step(StepAck, func() error { return h.delivery.Ack(ctx) }); err != nil {
		h.log.Warn("an acknowledgement was not confirmed; the copy will come back and be dropped", "job", h.job.ID, "error", err)
	}
}

// statusOf is what an event says of a job whose record is at phase.
func statusOf(phase job.Phase) schemas.Status {
	switch phase {
	case job.Waiting:
		return schemas.StatusRetrying
	case job.Accepted:
		return schemas.StatusAccepted
	case job.Held:
		return schemas.StatusUnknown
	case job.Cancelled:
		return schemas.StatusCancelled
	}
	return schemas.StatusFailed
}

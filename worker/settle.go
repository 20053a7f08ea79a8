package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// settle does what follows from the record: schedule or bury, tell, acknowledge,
// in this order. Each step may be repeated, here or by another worker, and the
// acknowledgement comes last, so that nothing is lost in between.
func (r *jobRun) settle(ctx context.Context) {
	settling, cancel := r.outlive(ctx)
	defer cancel()
	err := r.step(StepSettle, func() error { return r.publish(settling) })
	if f := fault.Of(err); f != nil && f.Kind == fault.Permanent && r.record.Phase == job.Waiting {
		err = r.cannotWait(settling, f)
	}
	if err != nil {
		// The ledger has the decision: the redelivery comes back to this step.
		r.redeliverLater(ctx, err)
		return
	}
	r.ack(settling)
}

// cannotWait ends a job whose schedule the queue can never take. It was told of
// nothing yet.
func (r *jobRun) cannotWait(ctx context.Context, f *fault.Fault) error {
	r.report.log.Warn("a job cannot be scheduled for its next attempt, and ends", "job", r.job.ID, "code", f.Code, "text", f.Text)
	r.report.met(f)
	if !r.record.Apply(job.Decide(r.record.Situation(f, r.services.name), time.Time{}, r.services.policy)) {
		return f
	}
	if err := r.save(ctx); err != nil {
		return err
	}
	r.report.decided(r.record.Phase.Status())
	return r.publish(ctx)
}

func (r *jobRun) publish(ctx context.Context) error {
	record := &r.record
	status := record.Phase.Status()
	switch record.Phase {
	case job.Waiting:
		err := r.services.outbox.Later(ctx, Schedule{
			Lane: r.delivery.Lane(), JobID: r.job.ID, Data: r.delivery.Data(), Attempt: record.Attempt + 1, Line: r.delivery.Line(), At: record.NextAttemptAt,
		})
		if err != nil {
			return queueFault("the schedule of the next attempt could not be written", err)
		}
	case job.Failed, job.Held:
		if err := r.bury(ctx, status, *record.Reason); err != nil {
			return err
		}
	}
	if !record.Told() {
		return nil
	}
	return r.tell(ctx, status, record.Reason)
}

// bury writes a dead letter. Its key has the sequence of the copy: each copy
// ends once, and two that end alike, under a reused id or after the record was
// removed, must not be taken for one.
func (r *jobRun) bury(ctx context.Context, status schemas.Status, reason schemas.Reason) error {
	err := r.services.outbox.Bury(ctx, DeadLetter{
		Lane: r.delivery.Lane(), Data: r.delivery.Data(), JobID: r.job.ID, After: cmp.Or(r.job.After, r.record.ComesAfter()), Status: status, Reason: reason, Line: r.delivery.Line(),
		Key:               fmt.Sprintf("dead/%d/%s/%d/%s", r.copy.Sequence, r.copy.Digest[:16], r.record.Attempt, status),
		PossibleDuplicate: r.record.PossibleDuplicate,
	})
	if err != nil {
		return queueFault("the dead letter could not be written", err)
	}
	return nil
}

func (r *jobRun) tell(ctx context.Context, status schemas.Status, reason *schemas.Reason) error {
	if err := r.awaitUploads(); err != nil {
		return queueFault("an event could not be published", err)
	}
	if err := r.services.outbox.Tell(ctx, r.delivery.Lane(), r.event(status, &r.record, reason)); err != nil {
		return queueFault("an event could not be published", err)
	}
	return nil
}

// awaitUploads waits until the uploaded event is out, if one is on its way.
func (r *jobRun) awaitUploads() error {
	if r.report.uploads == nil {
		return nil
	}
	err := <-r.report.uploads
	r.report.uploads = nil
	return err
}

// queueFault says what the queue did not take. Its own error stays unprinted, unless it
// was judged already.
func queueFault(text string, err error) *fault.Fault {
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		told := *f
		told.Text = text + ": " + f.Text
		return &told
	}
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "queue_unavailable", Text: text, Cause: err}
}

func (r *jobRun) event(status schemas.Status, record *job.Record, reason *schemas.Reason) schemas.Event {
	data := schemas.EventData{
		JobID:             r.job.ID,
		Operation:         r.job.Operation,
		Class:             r.delivery.Lane().Class,
		Destination:       r.delivery.Lane().Destination,
		Status:            status,
		Attempt:           record.Attempt,
		Reason:            reason,
		PossibleDuplicate: record.PossibleDuplicate,
		Files:             record.EventFiles(),
		Receipt:           record.Receipt,
		Correlation:       r.correlation(),
	}
	if status == schemas.StatusRetrying {
		data.NextAttemptAt = record.NextAttemptAt
	}
	event := schemas.NewEvent(r.services.prefix, data, r.services.now())
	if status == schemas.StatusDuplicate || status == schemas.StatusUnknown && r.entry == nil {
		// Each copy of the job ends so, without a record that counts them.
		event.ID = schemas.DuplicateID(event.ID, r.copy.Sequence)
	}
	return event
}

// correlation is the job's, without labels of a run that did not publish this copy.
func (r *jobRun) correlation() map[string]string {
	labels := r.job.Correlation
	_, run := labels[schemas.LabelRun]
	_, line := labels[schemas.LabelLine]
	if !run && !line || r.delivery.Line().labeled(labels) {
		return labels
	}
	own := maps.Clone(labels)
	delete(own, schemas.LabelRun)
	delete(own, schemas.LabelLine)
	return own
}

// ack ends the copy. An acknowledgement that cannot be confirmed is no fault:
// the copy comes back and is settled again from the ledger.
func (r *jobRun) ack(ctx context.Context) {
	r.lease.release()
	if err := r.step(StepAck, func() error { return r.delivery.Ack(ctx) }); err != nil {
		r.report.log.Warn("an acknowledgement was not confirmed; the copy will come back and be dropped", "job", r.job.ID, "error", err)
	}
}

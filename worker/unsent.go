package worker

import (
	"context"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Copies that end without a try of their own.

// tellDuplicate ends a second copy of a job that needs no second delivery. If
// it is not the same job but another under the same id, it goes to the dead
// letters too: a document must not vanish because of a reused id.
func (r *jobRun) tellDuplicate(ctx context.Context, kind job.CopyKind) {
	var reason *schemas.Reason
	switch kind {
	case job.Concurrent:
		reason = &schemas.Reason{Kind: string(fault.Permanent), Code: "in_progress", Text: "a job with this id is under way; this copy was dropped"}
	case job.Reused:
		reason = &schemas.Reason{Kind: string(fault.Permanent), Code: "id_reused", Path: "/id",
			Text: "the ledger has another job under this id, whose content differs; this copy is not sent, and is in the dead letters"}
		// Of the job in this copy nothing was tried, sent or received: what the
		// record says is the other's.
		r.record = job.Record{}
	}
	r.endUnsent(ctx, schemas.StatusDuplicate, reason, kind == job.Reused)
}

// buryNameless ends a message in which not even an id can be read: a dead
// letter holds it as it came, and an event tells of it under a name made of its
// sequence.
func (r *jobRun) buryNameless(ctx context.Context, f *fault.Fault) {
	r.report.log.Warn("a message that names no job goes to the dead letters", "sequence", r.copy.Sequence, "code", f.Code, "path", f.Path, "text", f.Text)
	r.report.met(f)
	reason := job.ReasonOf(f)
	r.endUnsent(ctx, schemas.StatusFailed, &reason, true)
}

// buryUnrecorded ends a copy of a job whose record is there and cannot be read: a
// dead letter holds it, and an event tells of it. The record stays as it is. Other
// jobs of the lane would not meet the same.
func (r *jobRun) buryUnrecorded(ctx context.Context, f *fault.Fault) {
	r.report.log.Error("the record of a job cannot be read; the job goes to the dead letters", "job", r.job.ID, "code", f.Code, "text", f.Text)
	r.report.met(f)
	reason := job.ReasonOf(f)
	r.record = job.Unreadable(r.copy)
	r.endUnsent(ctx, schemas.StatusUnknown, &reason, true)
}

// endUnsent ends the copy: a dead letter, if it is to have one, an event, and the
// acknowledgement. Without a readable id, the event names the copy.
func (r *jobRun) endUnsent(ctx context.Context, status schemas.Status, reason *schemas.Reason, bury bool) {
	settling, cancel := r.outlive(ctx)
	defer cancel()
	var err error
	if bury {
		err = r.bury(settling, status, *reason)
	}
	if r.job.ID == "" {
		r.job.ID = schemas.UnreadableID(r.copy.Sequence)
	}
	if err == nil {
		err = r.tell(settling, status, reason)
	}
	if err != nil {
		r.redeliverLater(ctx, err)
		return
	}
	r.report.decided(status)
	r.ack(settling)
}

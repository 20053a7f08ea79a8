package worker

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// The run of a job is the pipeline's RecordStore and Progress.

// Save implements pipeline.RecordStore: every write of a record names its owner. The
// message of a job whose run was cancelled does not leave.
func (r *jobRun) Save(ctx context.Context, record job.Record) error {
	ctx, cancel := r.place.untilEnd(ctx)
	defer cancel()
	if record.Phase == job.Sending {
		switch run := r.backfillRun(ctx); {
		case run.Unknown != nil:
			return run.Unknown
		case run.Cancelled:
			return job.RunCancelled()
		}
	}
	return r.entry.Save(ctx, record.WrittenBy(r.services.name, r.services.now()))
}

func (r *jobRun) save(ctx context.Context) error { return r.Save(ctx, r.record) }

// CheckLease implements pipeline.RecordStore.
func (r *jobRun) CheckLease() error {
	if r.lease.alive() {
		return nil
	}
	return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "lease_lost", Text: "the lease of the job ended: another worker may have it"}
}

// Queued implements pipeline.Progress.
func (r *jobRun) Queued() { r.place.pace.awaitBudget() }

// Admitted implements pipeline.Progress.
func (r *jobRun) Admitted() { r.place.pace.admitted() }

// Waiting implements pipeline.Progress.
func (r *jobRun) Waiting() { r.place.pace.begin(lanes.ForBytes) }

// Moved implements pipeline.Progress.
func (r *jobRun) Moved(bytes int) { r.place.pace.moved(bytes) }

// Resumed implements pipeline.Progress.
func (r *jobRun) Resumed() { r.place.pace.resume() }

// Repeats implements pipeline.Progress.
func (r *jobRun) Repeats() bool { return r.place.slot.Repeats }

// Left implements pipeline.Progress.
func (r *jobRun) Left() {
	r.sent = true
	r.place.pace.begin(lanes.ForAnswer)
}

// Passed implements pipeline.Progress.
func (r *jobRun) Passed(stage pipeline.Stage) { r.report.watch.Passed(stage) }

// Uploaded implements pipeline.Progress: the event is on its way while the
// message is sent.
func (r *jobRun) Uploaded(record *job.Record) {
	event := r.event(schemas.StatusUploaded, record, nil)
	uploads := make(chan error, 1)
	r.report.uploads = uploads
	ctx, cancel := r.outlive(schemas.WithTrace(r.place.end, r.report.watch.Trace()))
	go func() {
		defer cancel()
		uploads <- r.services.outbox.Tell(ctx, r.delivery.Lane(), event)
	}()
}

// step runs one of the worker's own steps and tells of its end.
func (r *jobRun) step(step pipeline.Step, run func() error) error {
	began := r.services.now()
	err := run()
	r.Passed(pipeline.Stage{Step: step, Began: began, Took: r.services.now().Sub(began), Err: err})
	return err
}

// settleTime bounds the publishing of what the ledger already says. It outlasts
// an election of a new leader several times.
const settleTime = time.Minute

// outlive gives a context for what must be finished although the worker stops.
func (r *jobRun) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := r.place.untilEnd(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	return ctx, func() { cancel(); end() }
}

// untilEnd ends ctx with the time that a stopping worker has for its last words.
func (p place) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.end, cancel)
	return ctx, func() { stop(); cancel() }
}

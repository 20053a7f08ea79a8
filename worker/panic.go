package worker

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
)

// A panic of the pipeline is a fault like any other: the job is scheduled,
// buried or called unknown, and does not go round in its lane. A panic anywhere
// else leaves the job to come back.

// understand reads the job. What panics here would do so on every delivery, so
// the message ends in the dead letters and no lane is held up.
func (r *jobRun) understand() (err error) {
	defer r.identify()
	defer func() {
		if value := recover(); value != nil {
			r.logPanic(value)
			r.job = pipeline.Understood{}
			err = &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codePanic,
				Text: "the worker failed on reading this message: a defect; nothing was sent"}
		}
	}()
	return r.step(StepUnderstand, func() (err error) {
		r.job, err = r.services.deliverer.Understand(r.delivery.Lane(), r.delivery.Data())
		return err
	})
}

// deliver runs the pipeline. After a panic during a sending the outcome is unknown.
func (r *jobRun) deliver(ctx context.Context) (err error) {
	defer func() {
		if value := recover(); value != nil {
			r.logPanic(value)
			err = r.afterPanic()
		}
	}()
	return r.services.deliverer.Deliver(ctx, r.delivery.Lane().Class, r.job, &r.record, r, r)
}

// afterPanic is nil where the acceptance is in the ledger. One that is not yet
// cannot be told from a sending of unknown outcome by who takes the job next.
func (r *jobRun) afterPanic() error {
	f := &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: codePanic, Text: "the worker failed on this job: a defect"}
	if r.record.Phase == job.Accepted {
		if r.record = r.entry.Record(); r.record.Phase == job.Accepted {
			return nil
		}
	}
	if r.record.Phase == job.Sending {
		f.Kind = fault.UnknownOutcome
	}
	return f
}

const codePanic = "panic"

// survive turns a panic outside the pipeline into a job that comes back.
func (r *jobRun) survive() {
	if value := recover(); value != nil {
		r.logPanic(value)
		r.report.met(&fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: codePanic})
		r.giveBack(job.LeaveAlone)
	}
}

// logPanic names the type of the panic's value, and neither the value nor the
// record: both may hold patient data.
func (r *jobRun) logPanic(value any) {
	if t := r.services.telemetry; t != nil {
		t.Panicked()
	}
	kind, stack := fmt.Sprintf("%T", value), string(debug.Stack())
	// One that comes from another goroutine tells of it by itself.
	if from, ok := value.(interface {
		Type() string
		Stack() string
	}); ok {
		kind, stack = from.Type(), from.Stack()
	}
	r.report.log.Error("a panic while working on a job", "job", r.job.ID, "type", kind, "stack", stack)
}

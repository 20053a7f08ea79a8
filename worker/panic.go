package worker

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// A panic of the pipeline is a fault like any other: the job is scheduled,
// buried or called unknown, and does not go round in its lane. A panic anywhere
// else leaves the job to come back.

// understand reads the job. What panics here would do so on every delivery, so
// the message ends in the dead letters and no lane is held up.
func (h *handling) understand() (job schemas.Job, err error) {
	defer func() {
		if r := recover(); r != nil {
			h.logPanic(r)
			job = schemas.Job{}
			err = &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codePanic,
				Text: "the worker failed on reading this message: a defect; nothing was sent"}
		}
	}()
	err = h.step(StepUnderstand, func() (err error) {
		job, err = h.deliverer.Understand(h.delivery.Lane(), h.delivery.Data())
		return err
	})
	return job, err
}

// deliver runs the pipeline. After a panic during a sending nobody knows what
// left.
func (h *handling) deliver(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			h.logPanic(r)
			err = h.afterPanic()
		}
	}()
	return h.deliverer.Deliver(ctx, h.delivery.Lane().Class, h.job, &h.record, h, h)
}

// afterPanic is nil where the acceptance is in the ledger. One that is not yet
// cannot be told from a sending of unknown outcome by who takes the job next.
func (h *handling) afterPanic() error {
	f := &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: codePanic, Text: "the worker failed on this job: a defect"}
	switch {
	case h.record.Phase == job.Accepted && h.page.Record().Phase == job.Accepted:
		return nil
	case h.record.Phase == job.Accepted:
		h.record.Receipt = nil
		f.Kind = fault.UnknownOutcome
	case h.record.Phase == job.Sending:
		f.Kind = fault.UnknownOutcome
	}
	return f
}

const codePanic = "panic"

// survive turns a panic outside the pipeline into a job that comes back.
func (h *handling) survive() {
	if r := recover(); r != nil {
		h.logPanic(r)
		h.met(&fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: codePanic})
		h.giveBack(leaveAlone)
	}
}

// logPanic names the type of the panic's value, and neither the value nor the
// record: both may hold patient data.
func (h *handling) logPanic(value any) {
	if t := h.settings.Telemetry; t != nil {
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
	h.log.Error("a panic while working on a job", "job", h.job.ID, "type", kind, "stack", stack)
}

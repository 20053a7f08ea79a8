package worker

import (
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/worker/lanes"
)

// ended is a job that has ended.
type ended struct {
	slot   *lanes.Slot
	result lanes.Result
}

// resultOf judges the fault a try met; sent says that the message had left, and
// returning that the job came back by its schedule.
func resultOf(id string, f *fault.Fault, sent, returning bool) lanes.Result {
	r := lanes.Result{
		Job: id, Scope: f.Scope, Reason: job.ReasonOf(f), After: f.RetryAfter,
		Limited: f.Code == fault.CodeRateLimited, Returning: returning,
	}
	switch {
	case f.Kind == fault.Interrupted || f.Kind == fault.Superseded:
		return lanes.Result{Job: id}
	case f.Scope != fault.Job:
		r.Health = lanes.Failing
	case f.Kind == fault.Permanent && (sent || f.Refused):
		// A refusal is an answer.
		r.Health, r.Refused, r.Own = lanes.Healthy, f.Refused, f.Own
	case f.Kind == fault.Permanent && f.Own:
		r.Health, r.Scope = lanes.Failing, fault.Store
	}
	return r
}

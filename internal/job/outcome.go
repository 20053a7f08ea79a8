package job

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Outcome is what becomes of a job after a try that did not end in acceptance. It
// is one of the types below, and of no others.
type Outcome interface{ outcome() }

type (
	// StepBack leaves the job to the worker that owns it. Nothing is written, told,
	// acknowledged or given back.
	StepBack struct{}
	// RedeliverLater gives the copy back after a pause, and leaves the record as it is:
	// what is needed to go on is not there, or another process is to decide.
	RedeliverLater struct {
		After   time.Duration
		Because *fault.Fault
	}
	// GiveBack gives the copy back at once. The attempt goes on.
	GiveBack struct{}
	// Defer gives the copy back after a pause. The attempt goes on, and the fault is
	// not held against the job.
	Defer struct{ After time.Duration }
	// RetryAt ends the attempt; a schedule brings the job back. MayRepeat says that
	// the next sending may be a second one.
	RetryAt struct {
		At        time.Time
		Reason    schemas.Reason
		MayRepeat bool
	}
	// PutOff has a schedule bring the job back for the same attempt: its predecessor
	// comes first.
	PutOff struct {
		At     time.Time
		Reason schemas.Reason
	}
	// Fail ends the job: Redox does not have its message.
	Fail struct{ Reason schemas.Reason }
	// Hold ends the job with an unknown outcome: Redox may have its message.
	Hold struct{ Reason schemas.Reason }
	// Cancel ends the job because its run was cancelled. Its message was never sent.
	Cancel struct{ Reason schemas.Reason }
)

func (StepBack) outcome()       {}
func (RedeliverLater) outcome() {}
func (GiveBack) outcome()       {}
func (Defer) outcome()          {}
func (RetryAt) outcome()        {}
func (PutOff) outcome()         {}
func (Fail) outcome()           {}
func (Hold) outcome()           {}
func (Cancel) outcome()         {}

// ReasonOf is what an event says of a fault.
func ReasonOf(f *fault.Fault) schemas.Reason {
	return schemas.Reason{Kind: string(f.Kind), Code: f.Code, Text: f.Text, Path: f.Path}
}

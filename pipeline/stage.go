package pipeline

import "time"

// Step is a part of a job's way.
type Step string

// The steps of a pipeline, in their order. Authorize is the wait for a token,
// Permit each wait for the right to one request, which is a part of Upload or
// Send. Upload is one file and Send the message, repeats included.
const (
	StepAuthorize Step = "authorize"
	StepSurvey    Step = "survey"
	StepPermit    Step = "permit"
	StepUpload    Step = "upload"
	StepCompose   Step = "compose"
	StepSend      Step = "send"
)

// Stage is one step of a job that has ended.
type Stage struct {
	Step  Step
	Began time.Time
	Took  time.Duration
	// Bytes were handed over to Redox in this step, in tries that failed too.
	Bytes int64
	// Err is what the step ended with, nil when it went well.
	Err error
}

// step runs one step and tells of its end.
func (d *delivery) step(step Step, run func() error) error {
	began := d.line.now()
	err := run()
	stage := Stage{Step: step, Began: began, Took: d.line.now().Sub(began), Err: err}
	if step == StepUpload || step == StepSend {
		stage.Bytes = d.handed.Swap(0)
	}
	d.progress.Passed(stage)
	return err
}

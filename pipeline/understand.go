package pipeline

import (
	"errors"
	"fmt"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// keptMessage is the largest message, in bytes, whose parsed form is kept from the
// reading of the job until it is composed. Parsed, a message takes up to twenty times
// its size, and the waits in between may be long: a larger one is parsed again instead.
const keptMessage = 16 << 10

// Document names what a job makes and changes.
type Document = compose.Document

// Understood is a job that can be composed.
type Understood struct {
	schemas.Job
	// draft is the message without its files; nil where it is not kept.
	draft    *compose.Draft
	document Document
}

// Document names what a job with document_order makes and changes.
func (u Understood) Document() Document { return u.document }

// Understand turns the bytes that came over lane into a job that can be
// composed, or says what is wrong with them, before any I/O. The job it gives
// beside an error holds at least the id, where one could be read.
func (p *Pipeline) Understand(lane schemas.Lane, data []byte) (u Understood, err error) {
	err = p.parsed.use(len(data), func() (err error) {
		u, err = p.understand(lane, data)
		return err
	})
	return u, err
}

func (p *Pipeline) understand(lane schemas.Lane, data []byte) (Understood, error) {
	job, err := schemas.DecodeJob(data)
	if err != nil {
		return Understood{Job: readable(err)}, poison(err)
	}
	if err := p.belongs(lane, job); err != nil {
		return Understood{Job: job}, err
	}
	if job.SourceID == "" {
		job.SourceID = p.settings.SourceID
	}
	draft, err := p.settings.Composer.Draft(job)
	understood := Understood{Job: job, draft: keptDraft(job, draft)}
	if draft != nil {
		understood.document = draft.Document()
	}
	return understood, err
}

// keptDraft is the draft of a job if it is kept, and nil otherwise.
func keptDraft(job schemas.Job, draft *compose.Draft) *compose.Draft {
	if len(job.Message) > keptMessage {
		return nil
	}
	return draft
}

// belongs refuses a job that came by a subject that is not its own, or that is
// meant for another environment: a test must never reach production by a typo.
func (p *Pipeline) belongs(lane schemas.Lane, job schemas.Job) error {
	if own := job.Destination.Address(); lane.Stray() || own != lane.Destination {
		return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "subject_mismatch", Path: "/destination",
			Text: fmt.Sprintf("the job was published to the subject of another destination; the last token of its own subject is %s", schemas.Token(own))}
	}
	if job.Destination.Environment != p.settings.Environment {
		return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "environment_mismatch", Path: "/destination/environment",
			Text: fmt.Sprintf("this worker serves %s only", p.settings.Environment)}
	}
	return nil
}

// poison says why a job could not be understood: the first problem and the
// number of the others, since an event has one reason.
func poison(err error) error {
	f := &fault.Fault{Kind: fault.Poison, Scope: fault.Job, Code: "job_invalid", Text: "the job could not be read", Cause: err}
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok && len(invalid.Problems) > 0 {
		first := invalid.Problems[0]
		f.Code, f.Path, f.Text = "job_"+first.Code, first.Path, first.Text
		if n := len(invalid.Problems) - 1; n > 0 {
			f.Text += fmt.Sprintf(" (and %d more)", n)
		}
	}
	return f
}

// readable is what could be read of a job that could not be understood.
func readable(err error) schemas.Job {
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok {
		return schemas.Job{ID: invalid.JobID, Operation: invalid.Operation}
	}
	return schemas.Job{}
}

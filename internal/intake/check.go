package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// Rules check a job as a worker will, by the worker's own code.
type Rules struct {
	// Pipeline is made as a worker's, with the same environment, source and limits.
	Pipeline *pipeline.Pipeline
	// Composer is the Pipeline's.
	Composer compose.Composer
	// Admit refuses a file that workers may not read, without asking the store.
	Admit func(schemas.File) error
	// Files makes Check look at the files too: that they are there, and may leave.
	Files bool
}

// Check finds everything that is wrong with a job that comes over lane; a lane without a
// destination is that of the job's own. The job that it gives beside an error holds
// what could be read.
func (r Rules) Check(ctx context.Context, grant Grant, lane schemas.Lane, data []byte, now time.Time) (schemas.Job, error) {
	if len(data) > schemas.MaxJobSize {
		return schemas.Job{}, TooLargeJob()
	}
	// Without a lane of its own the job is read, and no more.
	read, err := r.Pipeline.Understand(schemas.Lane{Class: lane.Class}, data)
	job := read.Job
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok {
		return job, invalidJob(problemsOf(invalid), invalid.More)
	}
	own := schemas.Lane{Class: lane.Class, Destination: job.Destination.Address()}
	if lane.Destination == "" {
		lane = own
	}
	if !grant.Allows(lane) {
		return job, forbidden()
	}
	job, problems := r.judge(own, data)
	if lane != own {
		problems = append(problems, Problem{"/destination", "subject_mismatch", "the job names another destination than the subject; the last token of its own subject is " + own.Token()})
	}
	problems = append(problems, expiry(job, now)...)
	problems = append(problems, r.places(grant, job)...)
	if len(problems) > 0 {
		return job, invalidJob(problems, 0)
	}
	if !r.Files {
		return job, nil
	}
	_, err = r.Pipeline.Preview(ctx, job)
	return job, fileRefusal(err)
}

// judge applies the environment's and the message's own rules.
func (r Rules) judge(lane schemas.Lane, data []byte) (schemas.Job, []Problem) {
	understood, err := r.Pipeline.Understand(lane, data)
	problems := faultsOf(err)
	if len(problems) > 0 && problems[0].Code == "environment_mismatch" {
		problems = append(problems, faultsOf(r.Composer.Check(understood.Job))...)
	}
	return understood.Job, problems
}

func expiry(job schemas.Job, now time.Time) []Problem {
	switch {
	case !now.After(job.Deadline()):
		return nil
	case job.ExpiresAt.IsZero():
		return []Problem{{"/requested_at", "expired", "is more than 72 h ago, and a job without expires_at expires 72 h after it"}}
	}
	return []Problem{{"/expires_at", "expired", "has passed: set a later time"}}
}

// places refuses files that no worker may read, and those of other callers.
func (r Rules) places(grant Grant, job schemas.Job) []Problem {
	var problems []Problem
	for i, file := range job.Files {
		at := fmt.Sprintf("/files/%d", i)
		if err := r.Admit(file); err != nil {
			f := fault.Of(err)
			problems = append(problems, Problem{at, f.Code, f.Text})
		} else if !grant.MayName(file) {
			problems = append(problems, Problem{at, "file_not_allowed", "this caller's jobs may not name that bucket or key"})
		}
	}
	return problems
}

// TooLargeJob refuses a job of too many bytes.
func TooLargeJob() *Refusal {
	return &Refusal{Kind: TooLarge, Code: "job_too_large", Detail: fmt.Sprintf("a job has at most %d bytes", schemas.MaxJobSize)}
}

func invalidJob(problems []Problem, more int) *Refusal {
	return &Refusal{Kind: Invalid, Code: "job_invalid", Detail: "the job would be refused; errors lists why", Problems: problems, More: more}
}

func problemsOf(invalid *schemas.Invalid) []Problem {
	problems := make([]Problem, len(invalid.Problems))
	for i, p := range invalid.Problems {
		problems[i] = Problem{p.Path, "job_" + p.Code, p.Text}
	}
	return problems
}

// faultsOf gives each fault of an error; none where it is nil.
func faultsOf(err error) []Problem {
	if err == nil {
		return nil
	}
	if all, ok := errors.AsType[*compose.Problems](err); ok {
		problems := make([]Problem, len(all.Faults))
		for i, f := range all.Faults {
			problems[i] = Problem{f.Path, f.Code, f.Text}
		}
		return problems
	}
	f := fault.Of(err)
	return []Problem{{f.Path, f.Code, f.Text}}
}

// fileRefusal judges what the look at the files found.
func fileRefusal(err error) error {
	if err == nil {
		return nil
	}
	if f := fault.Of(err); f.Kind != fault.Permanent && f.Kind != fault.Poison {
		return unavailable("files_not_checked", "the object store did not answer, so that the files could not be checked", err)
	}
	return invalidJob(faultsOf(err), 0)
}

package cli

import (
	"errors"

	"github.com/chartpost/chartpost/schemas"
)

// ErrJob refuses what names no job.
var ErrJob = errors.New("<job>: must be the id of a job, 1 to 128 of letters, digits, _ and -, or DESTINATION/ID")

// NamesJob reports whether the text, an id or DESTINATION/ID, names the job.
func NamesJob(text string, job schemas.JobKey) bool { return text == job.ID || text == job.String() }

// JobName is DESTINATION/ID, or the id where no destination is known.
func JobName(job schemas.JobKey) string {
	if job.Destination == "" {
		return job.ID
	}
	return job.String()
}

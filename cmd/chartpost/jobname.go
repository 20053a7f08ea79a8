package main

import (
	"errors"

	"github.com/chartpost/chartpost/schemas"
)

var errJob = errors.New("<job>: must be the id of a job, 1 to 128 of letters, digits, _ and -, or DESTINATION/ID")

// names reports whether the text, an id or DESTINATION/ID, names the job.
func names(text string, job schemas.JobKey) bool { return text == job.ID || text == job.String() }

// jobName is DESTINATION/ID, or the id where no destination is known.
func jobName(job schemas.JobKey) string {
	if job.Destination == "" {
		return job.ID
	}
	return job.String()
}

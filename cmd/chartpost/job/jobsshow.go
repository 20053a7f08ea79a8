package job

import (
	"fmt"
	"io"
	"strings"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/internal/show"
)

// printJobs writes a table of jobs.
func printJobs(w io.Writer, jobs []joblist.Job) error {
	var rows [][]string
	for _, j := range jobs {
		rows = append(rows, []string{
			cli.When(j.ChangedAt), j.JobID, string(j.Class), j.Destination, string(j.State), fmt.Sprint(j.Attempt),
			cli.CorrelationText(j.Correlation), detail(j),
		})
	}
	return show.Table(w, []string{"CHANGED", "JOB", "CLASS", "DESTINATION", "STATE", "TRY", "CORRELATION", "DETAIL"}, rows)
}

// detail is the reason, the next attempt, and what must not be overlooked.
func detail(j joblist.Job) string {
	var parts []string
	if j.Reason != nil && j.State != joblist.Accepted {
		parts = append(parts, strings.TrimSpace(j.Reason.Code+" "+j.Reason.Path))
	}
	if !j.NextAttemptAt.IsZero() {
		parts = append(parts, "next attempt at "+cli.When(j.NextAttemptAt))
	}
	if j.PossibleDuplicate {
		parts = append(parts, "POSSIBLE DUPLICATE")
	}
	if j.RecordUnread {
		parts = append(parts, "its record is one of a later version: this is the last event")
	}
	return strings.Join(parts, "; ")
}

// Package joblist lists jobs: by state, destination, class, reason, correlation and time.
//
// What became of a job is told by its events, and its last event decides; events of
// status duplicate do not count, since they tell of a copy. Where that may not be the last
// word, the ledger's record has it, so that a list and the status of one job agree.
package joblist

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/schemas"
)

// State is what a job's status says of it in a word.
type State string

// The states of jobs that have events. Queued is one that was published again after its
// end, and that no worker has taken since.
const (
	Working   = State(job.Working)
	Sending   = State(job.Sending)
	Waiting   = State(job.Waiting)
	Accepted  = State(job.Accepted)
	Failed    = State(job.Failed)
	Unknown   = State(job.Held)
	Cancelled = State(job.Cancelled)
	Queued    = State("queued")
)

// Query says which jobs. What is empty selects all.
type Query struct {
	States      []State
	Class       schemas.Class
	Destination string
	// Code is that of the reason in the job's last event.
	Code string
	// Correlation pairs must all be there.
	Correlation map[string]string
	// Since and Until bound the time of the job's last event.
	Since, Until time.Time
	// Before is the Next of an earlier page; 0 begins with the newest.
	Before uint64
	// Limit is how many jobs a page has at most.
	Limit int
}

// Job is a line of the list. It has many fields because it is what --json prints.
type Job struct {
	JobID       string        `json:"job_id"`
	Destination string        `json:"destination"`
	Class       schemas.Class `json:"class"`
	Operation   string        `json:"operation,omitempty"`
	State       State         `json:"state"`
	// ChangedAt is when the server stored the job's last event, and Sequence the place of
	// that event in the stream.
	ChangedAt         time.Time         `json:"changed_at"`
	Sequence          uint64            `json:"sequence"`
	Attempt           int               `json:"attempt"`
	PossibleDuplicate bool              `json:"possible_duplicate"`
	NextAttemptAt     time.Time         `json:"next_attempt_at,omitzero"`
	Reason            *schemas.Reason   `json:"reason,omitempty"`
	Correlation       map[string]string `json:"correlation,omitempty"`
	// RecordUnread says that the ledger's record is one of a later version: State is that
	// of the last event.
	RecordUnread bool `json:"record_unread,omitempty"`
}

// Page is a part of the list, the newest job first.
type Page struct {
	Jobs []Job
	// Next is the Before of the next page; 0 says that there is none.
	Next uint64
	Cost Cost
}

// Cost is what a page took.
type Cost struct {
	Index jobindex.Cost
	// Events were read one by one.
	Events int
}

// Records is the ledger.
type Records interface {
	Find(ctx context.Context, key schemas.JobKey) (record job.Record, known bool, err error)
}

// Lister lists jobs. A View answers as of when it was opened.
type Lister struct {
	View    *jobindex.View
	Records Records
}

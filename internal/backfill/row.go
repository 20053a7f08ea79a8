package backfill

import (
	"fmt"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// Row is what a report says of a line. It holds no patient data, as long as job
// ids do not.
type Row struct {
	Line    int64   `json:"line"`
	JobID   string  `json:"job_id,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Reason is a code, Path a place in the job.
	Reason string `json:"reason,omitempty"`
	Path   string `json:"path,omitempty"`
	Detail
	// Delivery is the last outcome that Redox's logs told of an accepted job; empty where
	// outcomes are not followed, or nothing is known yet.
	Delivery schemas.Status `json:"delivery,omitempty"`
}

// Detail is what a job's last event says beside its outcome.
type Detail struct {
	Attempts          int  `json:"attempts"`
	PossibleDuplicate bool `json:"possible_duplicate"`
	// Size is the sum of the files, in bytes; SHA256 has each file's.
	Size       int64     `json:"size,omitempty"`
	SHA256     []string  `json:"sha256,omitempty"`
	LogIDs     []string  `json:"log_ids,omitempty"`
	Location   string    `json:"location,omitempty"`
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
}

// The reasons that are a report's own.
const (
	reasonNotFed   = "not_fed"
	reasonInFlight = "in_flight"
	reasonBefore   = "accepted_before"
	reasonUnderWay = "in_progress"
	reasonUnknown  = "unknown_before"
	reasonRefused  = "refused"
	reasonLost     = "lost"
)

// fromRecord fills in what the ledger knows of a job that has ended.
func (r *Row) fromRecord(record *job.Record) {
	if !record.Phase.Final() {
		r.Attempts = record.Attempt
		return
	}
	r.from(schemas.EventData{
		Attempt: record.Attempt, PossibleDuplicate: record.PossibleDuplicate, Files: record.EventFiles(), Receipt: record.Receipt, Reason: record.Reason,
	}, record.UpdatedAt)
}

// from fills in what an event says.
func (r *Row) from(event schemas.EventData, at time.Time) {
	r.Detail = Detail{Attempts: event.Attempt, PossibleDuplicate: event.PossibleDuplicate, EndedAt: at.UTC()}
	for _, file := range event.Files {
		r.Size += file.Size
		if file.SHA256 != "" {
			r.SHA256 = append(r.SHA256, file.SHA256)
		}
	}
	if receipt := event.Receipt; receipt != nil {
		r.LogIDs, r.Location, r.AcceptedAt = slices.Clone(receipt.LogIDs), receipt.Location, receipt.AcceptedAt.UTC()
	}
	if event.Reason != nil {
		r.Reason, r.Path = event.Reason.Code, event.Reason.Path
	}
}

// Summary names what a report is of, and its sums.
type Summary struct {
	Run      string  `json:"run"`
	State    State   `json:"state"` // as Shown
	Manifest Source  `json:"manifest"`
	Template *Source `json:"template,omitempty"`
	Only     *Source `json:"only,omitempty"`
	// Report is the file with the rows; nil where there is none.
	Report *Source `json:"report,omitempty"`
	Tally
}

// Good tells whether every line was accepted, by this run or before it.
func (t Tally) Good() bool {
	return t.Counts[OutcomeAccepted]+t.Counts[OutcomeDuplicate] == t.Lines
}

// String is for people.
func (t Tally) String() string {
	c := t.Counts
	return fmt.Sprintf("%d of %d done: %d accepted, %d duplicate, %d failed, %d unknown, %d cancelled; %d in flight, %d not fed",
		t.Ended(), t.Lines, c[OutcomeAccepted], c[OutcomeDuplicate], c[OutcomeFailed], c[OutcomeUnknown], c[OutcomeCancelled], t.InFlight, t.Unfed)
}

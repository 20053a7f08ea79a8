package backfill

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// LineState is what a run's book says of a line: one byte.
type LineState byte

// The states of a line. They are kept: a number does not change its meaning.
const (
	// Unfed: its job was not published by the run, as far as the book goes.
	Unfed LineState = iota
	// Fed: its job is in the queue, or in work, or waits for its next attempt.
	Fed
	// LineAccepted, LineFailed, LineUnknown and LineCancelled are how its job ended.
	LineAccepted
	LineFailed
	LineUnknown
	LineCancelled
	// Duplicate: not published; the job had been accepted before the run.
	Duplicate
	// Refused: the line is no job.
	Refused
	// Blocked: not sent; another job with the id was under way.
	Blocked
	// Doubtful: not published; of the job nobody knew, before the run, whether
	// Redox has it.
	Doubtful
	// Absent: the line is not one of the run.
	Absent
	// Lost: its job was published, and is found nowhere any more; nobody knows what
	// became of it.
	Lost
	states
)

// Ended tells whether nothing more happens to the line by itself.
func (s LineState) Ended() bool { return s > Fed }

// Outcome is what a report calls the fate of a line.
type Outcome string

// The outcomes. Every line has one.
const (
	OutcomeAccepted  Outcome = "accepted"
	OutcomeDuplicate Outcome = "duplicate"
	OutcomeFailed    Outcome = "failed"
	OutcomeUnknown   Outcome = "unknown"
	OutcomeCancelled Outcome = "cancelled"
	OutcomePending   Outcome = "pending"
)

// Outcomes lists them in the order in which they are shown.
func Outcomes() []Outcome {
	return []Outcome{OutcomeAccepted, OutcomeDuplicate, OutcomeFailed, OutcomeUnknown, OutcomeCancelled, OutcomePending}
}

// Outcome names the state. What a cancelled run did not publish is cancelled.
func (s LineState) Outcome(run State) Outcome {
	switch s {
	case LineAccepted:
		return OutcomeAccepted
	case Duplicate:
		return OutcomeDuplicate
	case LineFailed, Refused, Blocked:
		return OutcomeFailed
	case LineUnknown, Doubtful, Lost:
		return OutcomeUnknown
	case LineCancelled:
		return OutcomeCancelled
	case Unfed:
		if run == Cancelled {
			return OutcomeCancelled
		}
		return OutcomePending
	default:
		return OutcomePending
	}
}

// codeReused is the reason of a job that was not sent because another has its id.
const codeReused = "id_reused"

// after is what a line's state becomes by an event of its job; ok is false where
// the event says nothing of it. The last final event counts, since an operator
// may decide about a job that ended as unknown. A second copy of a job ends as a
// duplicate and says nothing of the first.
func (s LineState) after(event schemas.EventData) (next LineState, ok bool) {
	if s == Refused || s == Absent {
		return s, false
	}
	switch event.Status {
	case schemas.StatusAccepted:
		return LineAccepted, true
	case schemas.StatusFailed:
		return LineFailed, true
	case schemas.StatusUnknown:
		return LineUnknown, true
	case schemas.StatusCancelled:
		return LineCancelled, true
	case schemas.StatusDuplicate:
		if !s.Ended() && event.Reason != nil && event.Reason.Code == codeReused {
			return Blocked, true
		}
		return s, false
	default:
		return s, false
	}
}

// known says what the ledger's record means for a line about to be published.
// Unfed is to publish it. The record's digest is that of the job's bytes, which
// hold the name of the run: the same digest is a copy that this run published.
func known(record *job.Record, digest string) LineState {
	switch {
	case record == nil:
		return Unfed
	case record.Digest == digest:
		return ofPhase(record.Phase)
	}
	switch record.Phase {
	case job.Accepted:
		return Duplicate
	case job.Held:
		return Doubtful
	case job.Failed, job.Cancelled:
		return Unfed
	default:
		return Blocked
	}
}

func ofPhase(phase job.Phase) LineState {
	switch phase {
	case job.Accepted:
		return LineAccepted
	case job.Held:
		return LineUnknown
	case job.Failed:
		return LineFailed
	case job.Cancelled:
		return LineCancelled
	default:
		return Fed
	}
}

// digestOf is the digest that a worker keeps of the job.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// recordOf reads a record of the ledger; one of another version counts as a job
// under way, so that nothing is sent beside it.
func recordOf(value []byte) *job.Record {
	if value == nil {
		return nil
	}
	record := &job.Record{}
	if json.Unmarshal(value, record) != nil {
		return &job.Record{}
	}
	return record
}

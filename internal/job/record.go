// Package job owns the record of a job: its phases, the moves between them, what a
// copy of the job means beside the record, and what becomes of a job that was not
// accepted.
//
// It is pure: it knows neither network nor clock. The record's fields are exported to
// be read; only this package assigns them, and a test holds that.
package job

import (
	"errors"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// Phase is how far a job has come.
type Phase string

const (
	// Working: a worker has taken the job; nothing irrevocable is under way.
	Working Phase = "working"
	// Sending: the message may be on its way to Redox at this moment. Found by
	// another worker, it means that it is not known whether Redox has it.
	Sending Phase = "sending"
	// Waiting: a schedule brings the job back at NextAttemptAt.
	Waiting Phase = "waiting"
	// Accepted, Failed, Held and Cancelled are final.
	Accepted Phase = "accepted"
	Failed   Phase = "failed"
	// Held is the end of a job of unknown outcome: Redox may have its message.
	Held      Phase = "unknown"
	Cancelled Phase = "cancelled"
)

// Final reports whether the job goes no further by itself.
func (p Phase) Final() bool {
	return p == Accepted || p == Failed || p == Held || p == Cancelled
}

// Status is what an event says of a job in the phase.
func (p Phase) Status() schemas.Status {
	switch p {
	case Waiting:
		return schemas.StatusRetrying
	case Accepted:
		return schemas.StatusAccepted
	case Held:
		return schemas.StatusUnknown
	case Cancelled:
		return schemas.StatusCancelled
	default:
		return schemas.StatusFailed
	}
}

// known reports whether this version has the phase.
func (p Phase) known() bool { return p == Working || p == Sending || p == Waiting || p.Final() }

// RecordVersion is the version of a Record's form. A record of a later one is not
// read, and so neither continued nor replaced.
const RecordVersion = 1

// Record is what the ledger remembers of one job, so that whoever takes it
// next repeats nothing. It holds no patient data: no key, no title, no name. Its
// fields are the ledger's format, so there are more than twelve.
type Record struct {
	Phase Phase `json:"phase"`
	// Attempt counts the tries from 1. A try that a crash or a shutdown cut
	// short goes on under the same number.
	Attempt int `json:"attempt"`
	// Sequence is the stream sequence of the recorded copy, of which Phase speaks.
	// By it a redelivery is told from a second publish of the same id.
	Sequence uint64 `json:"sequence"`
	// Stored is when the server stored that copy: a stream that was deleted and made
	// again gives the same sequences a second time.
	Stored time.Time `json:"stored"`
	// Published is when the job was published where Stored is the time of a later
	// copy, which a schedule brought.
	Published time.Time `json:"published,omitzero"`
	// Digest is the hex SHA-256 of the job as published.
	Digest string `json:"digest"`
	// Owner names the worker that wrote the record last. The fence is the
	// record's revision, not this name.
	Owner string       `json:"owner"`
	Files []FileRecord `json:"files,omitempty"`
	// NoEmbed is set after Redox found the message with its embedded files too
	// large: the next try uploads them.
	NoEmbed bool `json:"no_embed,omitempty"`
	// PossibleDuplicate stays set once a message was sent while an earlier
	// sending of it might have been taken.
	PossibleDuplicate bool `json:"possible_duplicate,omitempty"`
	// UnknownSends counts the sendings of unknown outcome.
	UnknownSends int `json:"doubts,omitempty"`
	// Deferrals counts, in this attempt, the faults that were not held against the
	// job. Released says that the last worker gave the job back in good order, and
	// Abandoned counts the times that a worker did not.
	Deferrals int  `json:"spared,omitempty"`
	Released  bool `json:"released,omitempty"`
	Abandoned int  `json:"abandoned,omitempty"`

	// Predecessor is what is known of the job that this one comes after; nil until
	// it was looked for.
	Predecessor *Predecessor `json:"predecessor,omitempty"`
	// Resent is when an operator published the job again after it had ended, until a
	// worker has taken that copy.
	Resent time.Time `json:"resent,omitzero"`
	// Suspicion is a final fault that may be the fault of the worker that met it.
	Suspicion *Suspicion `json:"suspicion,omitempty"`

	NextAttemptAt time.Time        `json:"next_attempt_at,omitzero"`
	Reason        *schemas.Reason  `json:"reason,omitempty"`
	Receipt       *schemas.Receipt `json:"receipt,omitempty"`
	UpdatedAt     time.Time        `json:"updated_at"`

	Unknown versioned.Unknown `json:",embed"`
}

// plainRecord is a Record without methods.
type plainRecord Record

// recordForm is a Record as the ledger has it.
type recordForm struct {
	Version int `json:"version"`
	plainRecord
}

var errNoPhase = errors.New("the record has no phase")

// MarshalJSON writes the record with its version, and with the members of it that
// this version does not know.
func (r Record) MarshalJSON() ([]byte, error) {
	return versioned.Encode(recordForm{RecordVersion, plainRecord(r)})
}

// UnmarshalJSON reads a record. One of a later version, or in a phase that this
// version does not know, is a *versioned.Newer.
func (r *Record) UnmarshalJSON(data []byte) error {
	var form recordForm
	if err := versioned.Decode(data, RecordVersion, &form); err != nil {
		return err
	}
	switch {
	case form.Phase == "":
		return errNoPhase
	case !form.Phase.known():
		return &versioned.Newer{What: "a phase"}
	}
	*r = Record(form.plainRecord)
	return nil
}

// Suspicion says which worker met a fault that may be its own, and how often.
type Suspicion struct {
	Code   string `json:"code"`
	Worker string `json:"worker"`
	Times  int    `json:"times"`
}

// EventFiles is the part of the record that events may tell.
func (r *Record) EventFiles() []schemas.EventFile {
	var files []schemas.EventFile
	for i, f := range r.Files {
		if f.Pin == nil {
			continue
		}
		files = append(files, schemas.EventFile{
			Index: i, Size: f.Pin.Size, SHA256: f.SHA256, ContentType: guard.Shown(f.ContentType), TypeSource: f.TypeSource, Transfer: f.Transfer,
		})
	}
	return files
}

package schemas

import (
	"slices"
	"time"
)

// Event says what became of a job: a CloudEvent 1.0 in structured JSON.
// Its JSON form is event.v1.schema.json.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	Type            string    `json:"type"`
	Source          string    `json:"source"`
	Subject         string    `json:"subject"`
	ID              string    `json:"id"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            EventData `json:"data"`
}

// EventData is the Chartpost part of an Event.
type EventData struct {
	JobID       string `json:"job_id"`
	Operation   string `json:"operation,omitempty"`
	Class       Class  `json:"class"`
	Destination string `json:"destination"`
	Status      Status `json:"status"`
	// Attempt counts from 1, and is 0 where none was made; a try that a crash or a shutdown cut short
	// continues under the same number.
	Attempt int     `json:"attempt"`
	Reason  *Reason `json:"reason,omitempty"`
	// NextAttemptAt is set with status retrying.
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	// PossibleDuplicate is set on every event after a message was sent again
	// although Redox may have taken it before.
	PossibleDuplicate bool        `json:"possible_duplicate"`
	Files             []EventFile `json:"files,omitempty"`
	Receipt           *Receipt    `json:"receipt,omitempty"`
	// Evidence is what an outcome was read from.
	Evidence    *Evidence         `json:"evidence,omitempty"`
	Correlation map[string]string `json:"correlation,omitempty"`
}

// Class is a job's priority.
type Class string

// The classes of jobs.
const (
	Live     Class = "live"
	Backfill Class = "backfill"
)

// Status is what an event says of its job.
type Status string

const (
	StatusUploaded  Status = "uploaded"
	StatusAccepted  Status = "accepted"
	StatusRetrying  Status = "retrying"
	StatusFailed    Status = "failed"
	StatusUnknown   Status = "unknown"
	StatusDuplicate Status = "duplicate"
	StatusCancelled Status = "cancelled"

	// What follows is told of an accepted job, from Redox's logs.

	// StatusDelivered: the destination's system took the message.
	StatusDelivered Status = "delivered"
	// StatusFiltered: Redox stopped it on purpose.
	StatusFiltered Status = "filtered"
	// StatusUndelivered: it failed, and Redox does not retry it by itself. A person at
	// Redox may: StatusDelivered can follow.
	StatusUndelivered Status = "undelivered"
	// StatusStalled: Redox still had it in hand after a while.
	StatusStalled Status = "stalled"
	// StatusUnconfirmed: nothing was found of it in time.
	StatusUnconfirmed Status = "unconfirmed"
)

// Outcomes are the statuses that tell what became of a message after it was accepted.
func Outcomes() []Status {
	return []Status{StatusDelivered, StatusFiltered, StatusUndelivered, StatusStalled, StatusUnconfirmed}
}

// Outcome reports whether s is one of Outcomes.
func (s Status) Outcome() bool { return slices.Contains(Outcomes(), s) }

// Final reports whether nothing more happens to the job by itself. An outcome is told of
// a job that has ended, and is not final.
func (s Status) Final() bool {
	switch s {
	case StatusAccepted, StatusFailed, StatusUnknown, StatusDuplicate, StatusCancelled:
		return true
	default:
		return false
	}
}

// Reason says why, in words that are safe to show to anyone.
type Reason struct {
	Kind string `json:"kind"`
	Code string `json:"code"`
	Text string `json:"text,omitempty"`
	Path string `json:"path,omitempty"`
}

// EventFile is what was learned of the job's file at Index.
type EventFile struct {
	Index int `json:"index"`
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	// ContentType is a widely known name: the one the file was sent with, or the
	// one that falls under.
	ContentType string `json:"content_type,omitempty"`
	// TypeSource is who said so: job, bytes or store.
	TypeSource string   `json:"type_source,omitempty"`
	Transfer   Transfer `json:"transfer,omitempty"`
}

// Receipt is what Redox answered when it took the message.
type Receipt struct {
	// Status is the HTTP status of the answer.
	Status   int      `json:"status"`
	Location string   `json:"location,omitempty"`
	LogIDs   []string `json:"log_ids,omitempty"`
	TraceID  string   `json:"trace_id,omitempty"`
	// AcceptedAt is the worker's clock when the answer had been read.
	AcceptedAt time.Time `json:"accepted_at"`
}

// Evidence is what Redox's logs show of a message: one log by its id, or the logs of a
// window of time in which they were counted.
type Evidence struct {
	LogID  string  `json:"log_id,omitempty"`
	Window *Window `json:"window,omitempty"`
	// Attempts is how many Redox had made; 0 where the log does not say.
	Attempts int `json:"attempts,omitempty"`
	// At is the time of the latest one, as the log has it, else when it was looked at.
	At time.Time `json:"at"`
}

// Window is a time in which Redox's logs for a destination were counted.
type Window struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Jobs is how many messages of ours Redox had accepted in it, Logs how many logs
	// were found.
	Jobs int `json:"jobs"`
	Logs int `json:"logs"`
}

func (e *Evidence) utc() *Evidence {
	if e == nil {
		return nil
	}
	told := *e
	told.At = told.At.UTC()
	if e.Window != nil {
		window := *e.Window
		window.From, window.Until = window.From.UTC(), window.Until.UTC()
		told.Window = &window
	}
	return &told
}

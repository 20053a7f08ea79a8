package timeline

import (
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Summary is what a program may know of a job that it submitted: the part of
// `chartpost status --json` that is not an operator's alone, under the same names.
type Summary struct {
	JobID string `json:"job_id"`
	// State is working, sending, waiting, accepted, failed, unknown or cancelled by the
	// record; queued where there is none, and where the job was published again; else
	// the last event's status.
	State             string              `json:"state"`
	Class             schemas.Class       `json:"class,omitempty"`
	Destination       string              `json:"destination"`
	Attempt           int                 `json:"attempt"`
	After             string              `json:"after,omitempty"`
	PossibleDuplicate bool                `json:"possible_duplicate"`
	NextAttempt       int                 `json:"next_attempt,omitempty"`
	NextAttemptAt     time.Time           `json:"next_attempt_at,omitzero"`
	Reason            *schemas.Reason     `json:"reason,omitempty"`
	Receipt           *schemas.Receipt    `json:"receipt,omitempty"`
	Files             []schemas.EventFile `json:"files,omitempty"`
	ChangedAt         time.Time           `json:"changed_at,omitzero"`
	RequestedAt       time.Time           `json:"requested_at,omitzero"`
	ExpiresAt         time.Time           `json:"expires_at,omitzero"`
	Events            []schemas.Event     `json:"events"`
}

// stateQueued is that of a job that waits in its lane, and no worker has taken.
const stateQueued = "queued"

// Queued is the Summary of a job that waits in its lane, and of which nothing else is
// known.
func Queued(lane schemas.Lane, id string) Summary {
	return Summary{JobID: id, State: stateQueued, Class: lane.Class, Destination: lane.Destination, Events: []schemas.Event{}}
}

// Summary sums a job up.
func (j *Job) Summary() Summary {
	s := Summary{JobID: j.ID, Destination: j.Destination, State: j.state(), After: j.After(), Events: []schemas.Event{}}
	if lane, known := j.Lane(); known {
		s.Class = lane.Class
	}
	for _, e := range j.Events {
		s.Events = append(s.Events, e.Event)
		s.Attempt, s.PossibleDuplicate = e.Event.Data.Attempt, e.Event.Data.PossibleDuplicate
	}
	for _, c := range []*natsq.JobCopy{j.Schedule, j.Copy, j.Again} {
		if c != nil {
			s.RequestedAt, s.ExpiresAt = c.RequestedAt, c.ExpiresAt
		}
	}
	if j.Schedule != nil {
		s.NextAttempt, s.NextAttemptAt = j.Schedule.Attempt, j.Schedule.At
	}
	if r := j.Record; r != nil {
		s.Attempt, s.PossibleDuplicate, s.Reason, s.Receipt = r.Attempt, r.PossibleDuplicate, r.Reason, r.Receipt
		s.Files, s.ChangedAt = r.EventFiles(), r.UpdatedAt
	}
	return s
}

func (j *Job) state() string {
	switch {
	case j.Again != nil:
		return stateQueued
	case j.Record != nil:
		return string(j.Record.Phase)
	case j.Schedule != nil:
		return string(job.Waiting)
	case j.Copy != nil || len(j.Events) == 0:
		return stateQueued
	}
	return string(j.Events[len(j.Events)-1].Event.Data.Status)
}

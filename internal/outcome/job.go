package outcome

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

var uuidShape = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Ref names one attempt of a job, whose acceptance Sequence is in the stream of events.
type Ref struct {
	Class       schemas.Class `json:"class"`
	Destination string        `json:"destination"`
	ID          string        `json:"id"`
	Operation   string        `json:"operation,omitempty"`
	Attempt     int           `json:"attempt"`
	Sequence    uint64        `json:"sequence"`
}

func refOf(d schemas.EventData, sequence uint64) Ref {
	return Ref{d.Class, d.Destination, d.JobID, d.Operation, d.Attempt, sequence}
}

// Key is the job's.
func (r Ref) Key() schemas.JobKey { return schemas.JobKey{Destination: r.Destination, ID: r.ID} }

func (r Ref) lane() schemas.Lane { return schemas.Lane{Class: r.Class, Destination: r.Destination} }

// record is where the bucket keeps the attempt.
func (r Ref) record() string { return jobKey(r.Key(), r.Attempt) }

func jobKey(key schemas.JobKey, attempt int) string {
	return jobPrefix + key.Tokens() + "." + strconv.Itoa(attempt)
}

// Job is an accepted attempt of a job whose logs are known. It holds no patient data.
type Job struct {
	Ref

	AcceptedAt time.Time `json:"accepted_at"`
	// Logs are the message's, one for each of its destinations.
	Logs []Seen `json:"logs"`
	// Window is set where the log was found by counting.
	Window *schemas.Window `json:"window,omitempty"`
	// Told are the outcomes that are in the stream.
	Told []schemas.Status `json:"told,omitempty"`
	// ToldAt is when the last of them was told.
	ToldAt time.Time `json:"told_at,omitzero"`

	Unknown versioned.Unknown `json:",embed"`

	// looks and nextLook are of looking a log up by its id. missing is when the last
	// one found none.
	looks    int
	nextLook time.Time
	missing  time.Time
}

// Seen is a log as it was seen last; Status is empty before that.
type Seen struct {
	ID       string          `json:"id"`
	Status   platform.Status `json:"status,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
	At       time.Time       `json:"at,omitzero"`
}

// Verdict is an outcome that is to be told.
type Verdict struct {
	Status   schemas.Status
	Evidence *schemas.Evidence
	Reason   *schemas.Reason
}

// See takes in a log of the job.
func (j *Job) See(log platform.Log, now time.Time) {
	for i := range j.Logs {
		if j.Logs[i].ID != log.ID {
			continue
		}
		seen := Seen{log.ID, log.Status, log.Attempts, log.AttemptAt}
		if seen.At.IsZero() {
			seen.At = log.UpdatedAt
		}
		if seen.At.IsZero() {
			seen.At = now
		}
		if seen.Attempts < j.Logs[i].Attempts || seen.At.Before(j.Logs[i].At) {
			return // an older view: searches may lag behind each other
		}
		j.Logs[i] = seen
	}
	j.missing = time.Time{}
}

// Judge gives the outcome that is to be told next. A job of which it was told already
// gives none again.
func (j *Job) Judge(t Times, now time.Time) (Verdict, bool) {
	v, ok := j.judge(t, now)
	if !ok || slices.Contains(j.Told, v.Status) || j.ended() {
		return Verdict{}, false
	}
	return v, true
}

func (j *Job) judge(t Times, now time.Time) (Verdict, bool) {
	worst, known := j.worst()
	switch {
	case worst.Status == platform.Succeeded:
		return j.verdict(schemas.StatusDelivered, worst), true
	case worst.Status == platform.Filtered:
		return j.verdict(schemas.StatusFiltered, worst), true
	case worst.Status == platform.Failed:
		return j.verdict(schemas.StatusUndelivered, worst), true
	case worst.Status == platform.Pending && now.Sub(j.AcceptedAt) >= t.Stalled:
		return j.verdict(schemas.StatusStalled, worst), true
	case !known && !j.missing.IsZero() && j.missing.Sub(j.AcceptedAt) >= t.Unconfirmed:
		return unconfirmed(), true
	}
	return Verdict{}, false
}

func unconfirmed() Verdict {
	return Verdict{Status: schemas.StatusUnconfirmed, Reason: &schemas.Reason{
		Kind: "unknown_outcome", Code: CodeNoEvidence, Text: "nothing was found of the message in Redox's logs",
	}}
}

// order is by how much a log's status says of a message with several: one that failed
// outweighs what was delivered, and nothing is told while one is not known.
var order = []platform.Status{platform.Failed, "", platform.Unknown, platform.Pending, platform.Filtered, platform.Succeeded}

// worst is the log that decides; known is false where no log was ever seen.
func (j *Job) worst() (worst Seen, known bool) {
	rank := len(order)
	for _, seen := range j.Logs {
		known = known || seen.Status != ""
		if at := slices.Index(order, seen.Status); at < rank {
			worst, rank = seen, at
		}
	}
	return worst, known
}

func (j *Job) verdict(status schemas.Status, seen Seen) Verdict {
	e := &schemas.Evidence{Attempts: seen.Attempts, At: seen.At}
	if e.Window = j.Window; e.Window == nil {
		e.LogID = seen.ID
	}
	return Verdict{Status: status, Evidence: e}
}

// Tell notes that an outcome is in the stream.
func (j *Job) tell(status schemas.Status, at time.Time) {
	if !slices.Contains(j.Told, status) {
		j.Told, j.ToldAt = append(j.Told, status), at
	}
}

// ended reports whether an outcome was told after which nothing is told.
func (j *Job) ended() bool {
	return slices.ContainsFunc(j.Told, func(s schemas.Status) bool {
		return s == schemas.StatusDelivered || s == schemas.StatusFiltered || s == schemas.StatusUnconfirmed
	})
}

// Done reports whether the job is followed no further.
func (j *Job) Done(t Times, now time.Time) bool {
	failed := slices.Contains(j.Told, schemas.StatusUndelivered)
	return j.ended() || failed && now.Sub(j.ToldAt) >= t.Reopen || now.Sub(j.AcceptedAt) >= t.Unconfirmed+t.Reopen
}

// Waits reports whether no outcome is known of the job.
func (j *Job) Waits() bool {
	return !j.ended() && !slices.Contains(j.Told, schemas.StatusUndelivered)
}

// lookDue is when the job's logs are looked up by their ids next.
func (j *Job) lookDue(t Times) time.Time {
	if j.nextLook.IsZero() {
		return j.AcceptedAt.Add(t.Look)
	}
	return j.nextLook
}

// looked notes a look that Redox answered; found is false where it had none of the logs.
func (j *Job) looked(t Times, found bool, now time.Time) {
	if !found {
		j.missing = now
	}
	wait := min(t.Look<<min(j.looks, 20), t.LookLongest)
	if end := j.AcceptedAt.Add(t.Unconfirmed); now.Before(end) && now.Add(wait).After(end) {
		wait = end.Sub(now)
	}
	j.looks++
	j.nextLook = now.Add(wait)
}

// The codes of reasons that the follower gives, and of what it notes of held jobs.
const (
	// CodeNoEvidence is the reason of an unconfirmed event.
	CodeNoEvidence = "no_evidence"
	// CodeFound is the reason in the accepted event of a held job that was found.
	CodeFound = "found_in_redox_logs"
	// CodeNotFound is noted of a held job whose logs close without it.
	CodeNotFound = "not_found_in_redox_logs"
	// CodeOpen is noted of a held job whose logs do not close.
	CodeOpen = "redox_logs_do_not_close"
)

package timeline

import (
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

const (
	// attemptTime is more than one attempt takes, repeats within it included.
	attemptTime = time.Hour
	// tellTime is more than lies between the record of an end and its event, also
	// where a worker dies in between and the clocks of worker and server differ.
	tellTime = 15 * time.Minute
)

var (
	rareStatuses   = []schemas.Status{schemas.StatusRetrying, schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusDuplicate, schemas.StatusCancelled}
	commonStatuses = []schemas.Status{schemas.StatusUploaded, schemas.StatusAccepted}
)

// scan is that of the job's lane where it is known, else of its destination.
func (j *Job) scan(statuses []schemas.Status) natsq.EventScan {
	s := natsq.EventScan{JobID: j.ID}
	s.Statuses, s.Destination = statuses, j.Destination
	if lane, known := j.Lane(); known {
		s.Class, s.Destination = lane.Class, lane.Destination
	}
	return s
}

// rare looks for what befalls jobs in trouble, and copies: from the job's first
// attempt on where it is known when that was, else through the whole stream.
func (j *Job) rare(o Options) (natsq.EventScan, bool) {
	s := j.scan(rareStatuses)
	s.Since = o.Since
	if first, known := j.firstStored(); known && o.Since.IsZero() {
		s.Since = first
	}
	return s, true
}

// firstStored is when the server stored the copy of the job's first attempt, or the one
// before it where that had to wait for another job.
func (j *Job) firstStored() (time.Time, bool) {
	if j.Record != nil && j.Record.Attempt <= 1 && !j.Record.Published.IsZero() {
		return j.Record.Published, true
	}
	if j.Record != nil && j.Record.Attempt == 1 && !j.Record.Stored.IsZero() {
		return j.Record.Stored, true
	}
	if j.Record == nil && j.Copy != nil {
		return j.Copy.Stored, true
	}
	return time.Time{}, false
}

// common looks for what befalls all jobs, around what is known of this one.
func (j *Job) common(o Options) (natsq.EventScan, bool) {
	s := j.scan(commonStatuses)
	s.StopAt = schemas.StatusAccepted
	times := j.times()
	if len(times) == 0 {
		s.Since = o.Since
		return s, !o.Since.IsZero()
	}
	first, last := times[0], times[0]
	for _, t := range times {
		if t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	s.Since = first.Add(-attemptTime)
	if stored, known := j.firstStored(); known {
		s.Since = stored
	}
	if !o.Since.IsZero() {
		s.Since = o.Since
	}
	if j.ended() {
		s.Until = last.Add(tellTime)
	}
	return s, true
}

// times are those at which something certainly happened to the job.
func (j *Job) times() []time.Time {
	var all []time.Time
	if j.Record != nil {
		all = append(all, j.Record.UpdatedAt)
	}
	for _, l := range j.Letters {
		all = append(all, l.Buried)
	}
	for _, e := range j.Events {
		all = append(all, e.Stored)
	}
	if j.Schedule != nil {
		all = append(all, j.Schedule.Stored)
	}
	if j.Copy != nil {
		all = append(all, j.Copy.Stored)
	}
	return all
}

// ended tells whether no attempt can be under way.
func (j *Job) ended() bool {
	return j.Copy == nil && j.Schedule == nil && (j.Record == nil || j.Record.Phase.Final())
}

// outcomes looks for what Redox's logs told of the job after it was accepted. Where
// outcomes are not followed there are none, and nothing is read.
func (j *Job) outcomes(o Options) (natsq.EventScan, bool) {
	s := j.scan(schemas.Outcomes())
	s.StopAt = schemas.StatusDelivered
	s.Since = o.Since
	if j.Record != nil && j.Record.Phase == job.Accepted {
		s.Since = j.Record.UpdatedAt.Add(-tellTime)
	}
	for _, e := range j.Events {
		if e.Event.Data.Status == schemas.StatusAccepted {
			s.Since = e.Stored
		}
	}
	return s, !s.Since.IsZero()
}

package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// NewEvent makes the event of what data says, as the deployment of that
// prefix tells it at that time: the CloudEvents attributes follow from data.
// Two calls with the same job, attempt and status give the same ID, whatever
// the time. Times are written in UTC.
//
// data.JobID must be a ValidJobID (a job whose id could not be read has an
// UnreadableID), data.Destination a ValidAddress, and data must be complete
// for its status: retrying has Reason and NextAttemptAt, failed and unknown
// have Reason, accepted has Receipt, or Reason where an operator found the
// message at Redox. Delivered, filtered, undelivered and stalled have Evidence, and
// unconfirmed has Reason.
func NewEvent(prefix string, data EventData, at time.Time) Event {
	if !data.NextAttemptAt.IsZero() {
		data.NextAttemptAt = data.NextAttemptAt.UTC()
	}
	if data.Receipt != nil {
		receipt := *data.Receipt
		receipt.AcceptedAt = receipt.AcceptedAt.UTC()
		data.Receipt = &receipt
	}
	data.Evidence = data.Evidence.utc()
	return Event{
		SpecVersion:     "1.0",
		Type:            EventType(data.Status),
		Source:          "/chartpost/" + prefix,
		Subject:         data.JobID,
		ID:              EventID(JobKey{data.Destination, data.JobID}, data.Attempt, data.Status),
		Time:            at.UTC(),
		DataContentType: "application/json",
		Data:            data,
	}
}

// EventType is the CloudEvents type of a status: chartpost.job.<status>.v1.
func EventType(status Status) string { return "chartpost.job." + string(status) + ".v1" }

// EventID names an event for dropping repeats, as CloudEvents' id and as the
// Nats-Msg-Id header: <destination>/<job id>/<attempt>/<status>. DuplicateID adds to
// it.
func EventID(key JobKey, attempt int, status Status) string {
	return key.String() + "/" + strconv.Itoa(attempt) + "/" + string(status)
}

// DuplicateID is the id of a duplicate's event: each further copy of a job has one,
// named by the copy's place in the jobs stream.
func DuplicateID(eventID string, sequence uint64) string {
	return eventID + "/" + strconv.FormatUint(sequence, 10)
}

// KeyOfEvent reads the job's key out of what EventID writes.
func KeyOfEvent(eventID string) (JobKey, bool) {
	parts := strings.SplitN(eventID, "/", 3)
	if len(parts) < 3 {
		return JobKey{}, false
	}
	return JobKey{parts[0], parts[1]}, true
}

// UnreadableID stands for the id of a job that has none that can be read:
// "unreadable-<sequence in the jobs stream>". It lets such a job be told of
// and found, and follows the rule of ids.
func UnreadableID(sequence uint64) string {
	return "unreadable-" + strconv.FormatUint(sequence, 10)
}

// Lane is the lane the event's job came on.
func (e Event) Lane() Lane { return Lane{Class: e.Data.Class, Destination: e.Data.Destination} }

// Encode gives the event's JSON without a newline. It fails only for times
// outside the years 0 to 9999.
func (e Event) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

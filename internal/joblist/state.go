package joblist

import (
	"slices"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// States are those that can be asked for.
func States() []State {
	return []State{Working, Sending, Waiting, Accepted, Failed, Unknown, Cancelled}
}

// statuses are the last events that a job of a state may have. One that is taken up
// again after its end has an event of its end until there is another.
func (s State) statuses() []schemas.Status {
	switch s {
	case Working, Sending, Waiting:
		return []schemas.Status{schemas.StatusUploaded, schemas.StatusRetrying}
	case Accepted:
		return []schemas.Status{schemas.StatusAccepted}
	case Failed:
		return []schemas.Status{schemas.StatusFailed}
	case Unknown:
		return []schemas.Status{schemas.StatusUnknown}
	case Cancelled:
		return []schemas.Status{schemas.StatusCancelled}
	case Queued: // asked for by nobody: it is learned from the ledger alone
	}
	return nil
}

// stateOf is the state of a job by its last event alone.
func stateOf(s schemas.Status) State {
	switch s {
	case schemas.StatusUploaded:
		return Working
	case schemas.StatusRetrying:
		return Waiting
	case schemas.StatusAccepted:
		return Accepted
	case schemas.StatusFailed:
		return Failed
	case schemas.StatusUnknown:
		return Unknown
	case schemas.StatusCancelled:
		return Cancelled
	case schemas.StatusDuplicate, schemas.StatusDelivered, schemas.StatusFiltered, schemas.StatusUndelivered, schemas.StatusStalled, schemas.StatusUnconfirmed:
		// These have no terms in the index, and so are never the last event of a job.
	}
	return State(s)
}

// recorded is the state of a job by its record.
func recorded(r job.Record) State {
	if r.Phase.Final() && r.Open() {
		return Queued
	}
	return State(r.Phase)
}

// wants reports whether the last event of a job passes the query, except for its
// correlation.
func (q Query) wants(d schemas.EventData, inTime bool) bool {
	code := ""
	if d.Reason != nil {
		code = d.Reason.Code
	}
	return inTime && (q.Class == "" || q.Class == d.Class) && (q.Destination == "" || q.Destination == d.Destination) &&
		(q.Code == "" || q.Code == code) && (len(q.States) == 0 || slices.Contains(q.statuses(), d.Status))
}

// statuses are those of all states that are asked for.
func (q Query) statuses() (all []schemas.Status) {
	for _, s := range q.States {
		all = append(all, s.statuses()...)
	}
	return all
}

// correlated reports whether an event has all pairs that are asked for.
func (q Query) correlated(d schemas.EventData) bool {
	for key, value := range q.Correlation {
		if have, ok := d.Correlation[key]; !ok || have != value {
			return false
		}
	}
	return true
}

package outcome

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/redoxclient/platform"
	"github.com/chartpost/chartpost/schemas"
)

// Logs are Redox's. *platform.Client implements it.
type Logs interface {
	Log(ctx context.Context, id string) (platform.Log, error)
	// Search calls each for every log that is found; nil means that it came to its end.
	Search(ctx context.Context, q platform.Query, each func(platform.Log) (more bool)) error
}

// Store is the follower's bucket.
type Store interface {
	// All calls each for every record there is.
	All(ctx context.Context, each func(key string, value []byte, revision uint64)) error
	// Write replaces the record of a revision, 0 for none. ErrChanged says that
	// somebody else has written it.
	Write(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error)
	// Remove deletes the record of a revision.
	Remove(ctx context.Context, revision uint64) error
}

// Stream is the stream of events.
type Stream interface {
	// Read calls each for the events from a sequence on, or from a time on where that
	// is 0, to the end or until each returns false. ErrStreamNew says that the stream
	// ends before the sequence.
	Read(ctx context.Context, from uint64, since time.Time, each func(Event) (more bool)) error
	// Get gives one event; ok is false where it is gone.
	Get(ctx context.Context, sequence uint64) (event schemas.EventData, ok bool, err error)
	Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error
}

// Desk settles held jobs.
type Desk interface {
	// Quiet reports whether no job for the destinations waits in a lane since a time or
	// earlier: one that a crash cut short could have made a log that no event tells of.
	Quiet(ctx context.Context, destinations []string, since time.Time) (bool, error)
	// Accept ends a held job as accepted. One that somebody else has settled is left
	// as it is.
	Accept(ctx context.Context, job schemas.JobKey, reason schemas.Reason, evidence *schemas.Evidence) error
	// Resend sends it again, as a possible duplicate.
	Resend(ctx context.Context, job schemas.JobKey) error
}

// Meter is told of what the follower does.
type Meter interface {
	Told(schemas.Status)
	Searched(op string, err error)
	Standing(Standing)
}

// Standing is how the follower stands.
type Standing struct {
	// Waiting is how many jobs have no outcome yet, since Oldest.
	Waiting int       `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Failed is how many failed jobs are followed further, Windows how many are
	// counted.
	Failed  int `json:"failed"`
	Windows int `json:"windows"`
	// SweptTo is up to when all that changed was searched.
	SweptTo time.Time `json:"swept_to,omitzero"`
	// Binding: the share of the budget is why that lags.
	Binding bool `json:"binding,omitempty"`
	// Requests is how many were made since the follower began.
	Requests int `json:"requests"`
	// Trouble is the kind of the last search's error; empty where that went well.
	Trouble string `json:"trouble,omitempty"`
	// At is when this was so.
	At time.Time `json:"at"`
}

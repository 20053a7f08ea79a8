package job

import "time"

// Predecessor is the part of a Record about the job that must be accepted first.
type Predecessor struct {
	// ID is what the job says in after. The destination is the job's own.
	ID string `json:"id"`
	// Accepted is final: the job is not looked for again.
	Accepted bool `json:"accepted,omitempty"`
	// Waits counts the times that this job was put off for it.
	Waits int `json:"waits,omitempty"`
	// UnseenSince is since when the ledger has not known it, and Unseen at how many
	// looks in a row.
	UnseenSince time.Time `json:"unseen_since,omitzero"`
	Unseen      int       `json:"unseen,omitempty"`
}

// Open reports whether the job may still be accepted without anybody's doing: it
// is under way, or about to be taken again.
func (r *Record) Open() bool { return !r.Phase.Final() || !r.Resent.IsZero() && r.Phase != Accepted }

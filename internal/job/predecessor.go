package job

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

const (
	// UnseenFor is how long a job waits for a predecessor that the ledger does not
	// know. It outlasts what a program that publishes both needs, with room for one
	// that is in another lane.
	UnseenFor = time.Hour
	// leastUnseen is at how many looks it must have been missing: a lane that was
	// paused in between is no reason to give a job up at the first look after it.
	leastUnseen = 4
	// longestFollow bounds the wait between two looks where nothing says when the
	// predecessor's next attempt is.
	longestFollow = 10 * time.Minute
)

// Predecessor is the part of a Record about the job that must be accepted first.
type Predecessor struct {
	// ID is what the job says in after, or what was found by the document. It is empty
	// while the document is not known. The destination is the job's own.
	ID string `json:"id"`
	// Document says that it is looked for by the document which the job changes.
	Document bool `json:"document,omitempty"`
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

// Follows reports whether the job must look for the job that it comes after, whose id
// is after. It notes the predecessor. byDocument says that the id was found by the
// document that the job changes: it is empty where none is known of it, and may change.
func (r *Record) Follows(after string, byDocument bool) bool {
	if after == "" && !byDocument {
		r.Predecessor = nil
		return false
	}
	p := Predecessor{ID: after, Document: byDocument}
	if was := r.Predecessor; was != nil && was.Document == byDocument && (was.ID == after || byDocument) {
		p = *was
		p.ID, p.Accepted = after, was.Accepted && was.ID == after
	}
	r.Predecessor = &p
	return !p.Accepted
}

// ComesAfter is the id of the job that must be accepted first; empty where none is known.
func (r *Record) ComesAfter() string {
	if r.Predecessor == nil {
		return ""
	}
	return r.Predecessor.ID
}

// Await notes what the ledger says of the predecessor; found is nil where it knows
// nothing. The fault is nil where the job may go on. Otherwise it says how long the job
// waits, or that it ends.
func (r *Record) Await(found *Record, now time.Time, p Policy, jitter float64) *fault.Fault {
	path := "/after"
	if r.Predecessor.Document {
		path = "/document_order"
	}
	switch r.Predecessor.look(found, now, p.Unseen) {
	case giveUp:
		return predecessorFailed(path, found)
	case putOff:
		r.Predecessor.Waits++
		f := predecessorOpen(path)
		f.RetryAfter = p.comesBack(r.Predecessor.Waits, found, now, jitter).Sub(now)
		return f
	case goOn:
	}
	return nil
}

// Told reports whether the record is to be followed by an event. One event says that
// a job waits for its predecessor, however often it looks.
func (r *Record) Told() bool {
	return r.Phase != Waiting || r.Reason == nil || r.Reason.Code != CodePredecessorOpen || r.Predecessor == nil || r.Predecessor.Waits <= 1
}

// turn is what a look at the predecessor means for the job.
type turn int

const (
	goOn turn = iota
	putOff
	giveUp
)

// look notes what the ledger says of the predecessor.
func (p *Predecessor) look(found *Record, now time.Time, unseenFor time.Duration) turn {
	switch {
	case found != nil && found.Phase == Accepted:
		p.Accepted = true
		return goOn
	case found != nil && found.Open():
		p.Unseen, p.UnseenSince = 0, time.Time{}
		return putOff
	case found != nil:
		return giveUp
	}
	if p.Unseen++; p.Unseen == 1 {
		p.UnseenSince = now
	}
	if p.Unseen >= leastUnseen && now.Sub(p.UnseenSince) >= unseenFor {
		return giveUp
	}
	return putOff
}

// comesBack is when a job that was put off looks again: not before the predecessor's
// own next attempt can have ended. The wait grows all the same, or jobs that wait for
// each other would look again and again.
func (p Policy) comesBack(waits int, found *Record, now time.Time, jitter float64) time.Time {
	p.Longest = min(p.Longest, max(longestFollow, p.First))
	at := now.Add(p.wait(waits, jitter))
	if found == nil || found.Phase != Waiting {
		return at
	}
	if next := found.NextAttemptAt.Add(p.wait(1, jitter)); next.After(at) {
		return next
	}
	return at
}

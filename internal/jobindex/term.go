package jobindex

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/chartpost/chartpost/schemas"
)

// Term is something by which jobs are looked for.
type Term string

// The kinds of terms, each the first byte of its terms.
const (
	kindJob         = "j"
	kindDestination = "d"
	kindClass       = "c"
	kindStatus      = "s"
	kindCode        = "r"
	kindPair        = "p"
)

// Job is the term of all events of a job.
func Job(key schemas.JobKey) Term { return Term(kindJob + key.String()) }

// Destination is the term of all events of a destination.
func Destination(name string) Term { return Term(kindDestination + name) }

// Class is the term of all events of a class.
func Class(c schemas.Class) Term { return Term(kindClass + string(c)) }

// Status is the term of all events of a status.
func Status(s schemas.Status) Term { return Term(kindStatus + string(s)) }

// Code is the term of all events whose reason has a code.
func Code(code string) Term { return Term(kindCode + code) }

// Pair is the term of all events with a pair in their correlation.
func Pair(key, value string) Term { return Term(kindPair + key + "\x00" + value) }

// TermsOf are the terms of an event. An event of status duplicate has none: it tells of a
// copy, and its job stays what it was. Nor has an outcome, which tells of the message after
// the job has ended.
func TermsOf(e schemas.Event) []Term {
	d := e.Data
	if d.Status == schemas.StatusDuplicate || d.Status.Outcome() {
		return nil
	}
	terms := []Term{Job(schemas.KeyOf(e.Lane(), d.JobID)), Destination(d.Destination), Class(d.Class), Status(d.Status)}
	if d.Reason != nil {
		terms = append(terms, Code(d.Reason.Code))
	}
	for key, value := range d.Correlation {
		terms = append(terms, Pair(key, value))
	}
	return terms
}

// Salt is random, and each segment's own: a submitter cannot choose correlations that
// share a hash, and equal terms of two segments do not look equal.
type Salt [16]byte

// hash is the first 4 bytes of SHA-256 over salt and term.
func (s Salt) hash(t Term) uint32 {
	var room [256]byte
	sum := sha256.Sum256(append(append(room[:0], s[:]...), t...))
	return binary.BigEndian.Uint32(sum[:])
}

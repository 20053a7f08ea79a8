package schemas

import (
	"fmt"
	"strings"
)

// MaxProblems is how many problems an Invalid lists; it counts the others.
const MaxProblems = 20

// Problem is one way in which a document breaks the contract. All of it but
// Key is safe to show to anyone.
type Problem struct {
	// Path is a JSON pointer (RFC 6901) to the place. It holds only names that
	// the schema has at that place, and array indices; every name the caller
	// made up is "*". Of a missing field it is the path the field would have.
	Path string
	// Code is a stable word: required, unknown_field, not_allowed, type, enum,
	// pattern, format, too_short, too_long, too_few, too_many, out_of_range,
	// expires_before_request, duplicate_key, not_utf8, not_json,
	// trailing_data, too_deep, too_large or schema.
	Code string
	// Text states the rule and what to do, never the value that broke it.
	Text string
	// key is behind a pointer so that no print of a Problem, not even %#v of
	// a struct that holds one, shows it.
	key *string
	at  int64
}

// Key is the offending key of an unknown_field or a duplicate_key as the
// author wrote it, else "". It may be a patient's name: show it on the
// author's own terminal, never in a log, an event or an error.
func (p Problem) Key() string {
	if p.key == nil {
		return ""
	}
	return *p.key
}

// String gives the path (or "the document"), the text and the code.
func (p Problem) String() string {
	place := p.Path
	if place == "" {
		place = "the document"
	}
	return fmt.Sprintf("%s %s (%s)", place, p.Text, p.Code)
}

// Invalid is the error of a document that breaks the contract. It is final:
// the same bytes fail again.
type Invalid struct {
	// JobID is the job's id when one that follows the id's rule could be read,
	// whatever else is wrong; "" else, and where the id is there twice.
	JobID string
	// Operation is the job's operation when it is a known one, as JobID.
	Operation string
	// Problems are in the order of the document, at most MaxProblems.
	Problems []Problem
	// More counts the problems that Problems leaves out. There may be more than
	// that: of a document with hundreds of them not all are looked for.
	More int
}

// Error lists the problems in one line. It holds no value of the document but
// the JobID.
func (e *Invalid) Error() string {
	var b strings.Builder
	b.WriteString("not valid")
	if e.JobID != "" {
		b.WriteString(" (job " + e.JobID + ")")
	}
	for i, p := range e.Problems {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "; and %d more", e.More)
	}
	return b.String()
}

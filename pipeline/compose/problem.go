package compose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/chartpost/chartpost/internal/fault"
)

// The codes of this package's faults. They are part of the contract.
const (
	// codeOperation: the job names an operation that is not in the table.
	codeOperation = "operation_unknown"
	// codeMessage: the message is no JSON object that can be read.
	codeMessage = "message_invalid"
	// codeMissing: a required element is absent.
	codeMissing = "element_missing"
	// codeInvalid: an element is there and breaks a rule.
	codeInvalid = "element_invalid"
	// codeReference: a reference leads nowhere.
	codeReference = "reference_unresolved"
	// codeSubject: the document is not about the message's patient.
	codeSubject = "subject_mismatch"
	// codeAttachment: the caller gave what only the files can say.
	codeAttachment = "attachment_given"
	// codeContent: the places for files do not fit the files.
	codeContent = "content_mismatch"
	// codeDuplicate: two resources of the message have one name.
	codeDuplicate = "duplicate_resource"
	// codeHeader: the caller's header or Meta contradicts the job.
	codeHeader = "header_conflict"
)

// maxProblems is how many problems one fault speaks of.
const maxProblems = 10

// problems collects what is wrong with a message, so that one answer names it
// all. No text in it ever quotes a value of the message.
type problems struct {
	list []*fault.Fault
	// seen holds the places that already have a problem: what follows from
	// it at the same place is not worth a second one.
	seen  []string
	total int
}

func (p *problems) add(code string, at path, text string) {
	p.put(fault.Permanent, code, at, text, nil)
}

func (p *problems) poison(code string, at path, text string) {
	p.put(fault.Poison, code, at, text, nil)
}

// unreadable keeps the parser's error as a cause that is never printed.
func (p *problems) unreadable(at path, cause error) {
	p.put(fault.Poison, codeMessage, at, fmt.Sprintf(
		"the message must be one JSON value in UTF-8, without duplicate keys, at most %d levels deep and of at most %d values", maxDepth, maxValues), cause)
}

func (p *problems) put(kind fault.Kind, code string, at path, text string, cause error) {
	pointer := at.String()
	if slices.Contains(p.seen, pointer) {
		return
	}
	p.total++
	if p.total > maxProblems {
		return
	}
	p.seen = append(p.seen, pointer)
	p.list = append(p.list, &fault.Fault{Kind: kind, Scope: fault.Job, Code: code, Text: text, Path: pointer, Cause: cause})
}

// Problems are all that is wrong with a message, the first ten. It is in the chain of
// every error of Check that has more than one. Its faults have the whole text of each.
type Problems struct {
	Faults []*fault.Fault
	cause  error
}

// Error counts them.
func (p *Problems) Error() string { return fmt.Sprintf("%d problems of the message", len(p.Faults)) }

// Unwrap gives the cause of the first.
func (p *Problems) Unwrap() error { return p.cause }

// err gives the first problem, and in its text the code and place of the
// others; nil where there is none. The Problems are behind it.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	if p.total == 1 {
		return p.list[0]
	}
	told := *p.list[0]
	first := &told
	first.Cause = &Problems{Faults: p.list, cause: told.Cause}
	var b strings.Builder
	fmt.Fprintf(&b, "%s; and %d more: ", first.Text, p.total-1)
	for i, f := range p.list[1:] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Code + " at " + f.Path)
	}
	if p.total > maxProblems {
		b.WriteString(", …")
	}
	first.Text = b.String()
	return first
}

// path is a place in the job, kept as a chain so that a walk pays for its text
// only when there is something to say.
type path struct {
	up   *path
	name string
	// foreign marks a name that is a key of the caller's own.
	foreign bool
}

func at(names ...string) path {
	var p path
	for _, n := range names {
		p = p.to(n)
	}
	return p
}

// to steps into a member that this package knows by name.
func (p path) to(name string) path { return path{up: &p, name: name} }

// key steps into a member whose name the caller chose.
func (p path) key(name string) path { return path{up: &p, name: name, foreign: true} }

func (p path) index(i int) path { return p.to(strconv.Itoa(i)) }

// String gives a JSON pointer. A key of the caller's that is no element's name
// may be anything, a patient's name or number for one, so it shows as "*". No
// name that passes needs the escapes of RFC 6901.
func (p path) String() string {
	if p.up == nil {
		return ""
	}
	name := p.name
	if p.foreign {
		name = shown(name)
	}
	return p.up.String() + "/" + name
}

func oneOf(codes []string) string {
	return "one of " + strings.Join(codes, ", ")
}

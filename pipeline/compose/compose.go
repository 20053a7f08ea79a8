// Package compose builds the message that names a job's files.
//
// It is pure: the same job and attachments give the same bytes on any machine,
// on any day. It asks no clock and no chance, and it does no I/O; Body, which
// streams files into a message, is the one exception and lives apart in
// stream.go.
//
// What the caller gives is kept byte for byte: unknown members, extensions,
// key order, the digits of numbers and the escapes of strings. Only five
// things differ in the message that leaves: whitespace between tokens is
// dropped, members of ours come at the end of their object, a null where ours
// belongs gives way to it, and in FHIR the strings of references to resources of
// the message are set to those resources' fullUrl, and a contentType that is an
// unregistered name, or says nothing, to the registered one.
package compose

import (
	"errors"
	"fmt"

	"github.com/chartpost/chartpost/schemas"
)

// Attachment is what is known of one file when the message is built.
type Attachment struct {
	// ContentType is the MIME type; what the message itself says wins.
	ContentType string
	// Title is a file name for people; empty leaves it out, and what the
	// message itself says wins.
	Title string
	// Size is in bytes, before base64: 1 to 2^31-1 (FHIR R4, unsignedInt).
	Size int64
	// SHA1 is nil where it is not known when the message is built.
	SHA1 []byte
	// URL names the file once it is uploaded; empty means that it is
	// embedded: its bytes stream in, see Body.
	URL string
}

// Check validates a job's message before any I/O: it refuses all that Compose
// would refuse and that does not depend on the files. Every error is a
// *fault.Fault of the scope Job: Poison when the message could not be
// understood, else Permanent.
func (c Composer) Check(job schemas.Job) error {
	_, err := c.Draft(job)
	return err
}

// Statement is what the message itself says of one file; "" where it says
// nothing. It leaves in place of the Attachment's, so whoever judges types and
// names has to judge these too.
type Statement struct {
	// ContentType is a MIME type.
	ContentType string
	// Title is patient data. It holds no control characters.
	Title string
}

// Stated gives what the message says of each file.
func (d *Draft) Stated() []Statement {
	all := make([]Statement, len(d.slots))
	for i, s := range d.slots {
		all[i] = s.stated
	}
	return all
}

// Compose builds the message around files, which are those of the job in its
// order, and uses the draft up: it may be called once. The error is a Permanent
// *fault.Fault for a file that no message can name (of no known type, empty, or
// too large); one that is no Fault is a mistake of the program.
func (d *Draft) Compose(files []Attachment) (*Message, error) {
	if d.used {
		return nil, errors.New("compose: the draft was composed before")
	}
	d.used = true
	if len(files) != len(d.slots) {
		return nil, fmt.Errorf("compose: %d attachments for %d files", len(files), len(d.slots))
	}
	var p problems
	for i, f := range files {
		d.admits(d.slots[i], i, f, &p)
		if f.SHA1 != nil && len(f.SHA1) != sha1Size {
			return nil, fmt.Errorf("compose: attachment %d has a SHA-1 of %d bytes", i, len(f.SHA1))
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	for i, f := range files {
		d.fill(d.slots[i], i, f)
	}
	m := &Message{API: d.op.API, ContentType: d.op.ContentType, Path: d.op.Path}
	m.render(d.root(), files)
	return m, nil
}

// Admits refuses what Compose would refuse of one file, before any of its bytes
// are sent: only its URL and its hash may be missing yet.
func (d *Draft) Admits(file int, a Attachment) error {
	if file < 0 || file >= len(d.slots) {
		return fmt.Errorf("compose: no place for file %d", file)
	}
	var p problems
	d.admits(d.slots[file], file, a, &p)
	return p.err()
}

// Draft is the message of a job that lacks only its files.
type Draft struct {
	draft
	op       Operation
	document Document
	used     bool
}

// draft is what a builder makes.
type draft struct {
	// root puts the message together.
	root func() *node
	// slots are the places of the files, in the job's order.
	slots []slot
	// admits refuses a file that the message cannot name, and fill puts what is
	// known of a file into its slot.
	admits admitter
	fill   filler
}

type admitter func(s slot, file int, a Attachment, p *problems)

type filler func(s slot, file int, a Attachment)

// slot is the object that receives one file.
type slot struct {
	node *node
	at   path
	// stated is what the message says of the file.
	stated Statement
}

// request is what a builder works from.
type request struct {
	op       Operation
	job      schemas.Job
	settings Composer
	message  *node
	p        *problems
}

// builder makes the draft of one operation. It adds what it finds wrong to
// the request's problems, and its draft is used only when they stay empty.
type builder func(r request) draft

// Draft reads a job's message, once for all that is asked of it. Errors are
// those of Check.
func (c Composer) Draft(job schemas.Job) (*Draft, error) {
	var p problems
	op, ok := Lookup(job.Operation)
	if !ok {
		p.poison(codeOperation, at("operation"), "the operation is not one this version knows; see the list of operations")
		return nil, p.err()
	}
	checkEnvelope(op, job, &p)
	message, err := parse(job.Message)
	if err != nil {
		p.unreadable(at("message"), err)
		return nil, p.err()
	}
	if message.kind != kindObject {
		p.poison(codeMessage, at("message"), "the message must be a JSON object")
		return nil, p.err()
	}
	r := request{op: op, job: job, settings: c, message: message, p: &p}
	d := op.build(r)
	document := documentOf(r)
	if err := p.err(); err != nil {
		return nil, err
	}
	return &Draft{draft: d, op: op, document: document}, nil
}

// checkEnvelope looks at what every message takes from the job around it. The
// job's schema has checked it before; a message with an empty identifier or
// time must not leave even if that was forgotten.
func checkEnvelope(op Operation, job schemas.Job, p *problems) {
	if job.ID == "" {
		p.add(codeMissing, at("id"), "all identifiers of the message derive from the job's id; give one")
	}
	switch n := len(job.Files); {
	case n == 0:
		p.add(codeMissing, at("files"), "a job carries at least one file")
	case n > op.MaxFiles:
		p.add(codeContent, at("files"), fmt.Sprintf("a message of this operation carries at most %d; send a job for each further file", op.MaxFiles))
	}
	switch year := job.RequestedAt.UTC().Year(); {
	case job.RequestedAt.IsZero():
		p.add(codeMissing, at("requested_at"), "it is the message's timestamp; give it")
	case year < 1 || year > 9999:
		p.add(codeInvalid, at("requested_at"), "a message's time has a year from 0001 to 9999")
	}
	if _, ok := canonicalUUID(job.SourceID); job.SourceID != "" && !ok {
		p.add(codeInvalid, at("source_id"), "a Redox source id is a UUID of 36 characters")
	}
}

// sha1Size is the length of a SHA-1 in bytes.
const sha1Size = 20

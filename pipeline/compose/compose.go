// Package compose builds the message that names a job's files.
//
// It is pure: the same job and attachments give the same bytes on any machine,
// on any day. It asks no clock and no chance, and it does no I/O; Body, which
// streams files into a message, is the one exception and lives apart in
// stream.go.
//
// What the caller gives is kept byte for byte: unknown members, extensions,
// key order, the digits of numbers and the escapes of strings. Only three
// things differ in the message that leaves: whitespace between tokens is
// dropped, members of ours come at the end of their object, and the strings of
// references to resources of the message are set to those resources' fullUrl.
package compose

import (
	"fmt"
	"slices"

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
func Check(job schemas.Job) error {
	_, _, err := prepare(job)
	return err
}

// DeclaredTypes gives the MIME type that the message itself states for each
// file, "" where it states none. Such a type leaves in place of
// Attachment.ContentType, so whoever compares declared types with bytes has to
// compare this one too. Errors are those of Check.
func DeclaredTypes(job schemas.Job) ([]string, error) {
	d, _, err := prepare(job)
	if err != nil {
		return nil, err
	}
	types := make([]string, len(d.slots))
	for i, s := range d.slots {
		types[i], _ = s.node.get(d.typeMember).text()
	}
	return types, nil
}

// Compose builds the message of job around files, which are those of the job
// in its order. Errors are those of Check, and in addition a Permanent
// *fault.Fault for a file that no message can name (of no known type, empty,
// or too large); an error that is no Fault is a mistake of the program.
func Compose(job schemas.Job, files []Attachment) (*Message, error) {
	d, op, err := prepare(job)
	if err != nil {
		return nil, err
	}
	if len(files) != len(d.slots) {
		return nil, fmt.Errorf("compose: %d attachments for %d files", len(files), len(d.slots))
	}
	var p problems
	for i, f := range files {
		if f.SHA1 != nil && len(f.SHA1) != sha1Size {
			return nil, fmt.Errorf("compose: attachment %d has a SHA-1 of %d bytes", i, len(f.SHA1))
		}
		d.fill(d.slots[i], i, f, &p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	m := &Message{ContentType: op.ContentType, Path: op.Path}
	m.render(d.root, files)
	return m, nil
}

// draft is a message that lacks only its files.
type draft struct {
	root *node
	// slots are the places of the files, in the job's order.
	slots []slot
	// typeMember is the slot's member that states a MIME type.
	typeMember string
	// fill puts what is known of a file into its slot.
	fill func(s slot, file int, a Attachment, p *problems)
}

// slot is the object that receives one file.
type slot struct {
	node *node
	at   path
}

// builder makes the draft of one operation. It adds what it finds wrong to p,
// and its draft is used only when p stays empty.
type builder func(op Operation, job schemas.Job, message *node, p *problems) draft

func prepare(job schemas.Job) (draft, Operation, error) {
	var p problems
	op, ok := Lookup(job.Operation)
	if !ok {
		p.poison(codeOperation, at("operation"), "the operation is not one this version knows; see the list of operations")
		return draft{}, op, p.err()
	}
	checkEnvelope(job, &p)
	message, err := parse(job.Message)
	if err != nil {
		p.unreadable(at("message"), err)
		return draft{}, op, p.err()
	}
	if message.kind != kindObject {
		p.poison(codeMessage, at("message"), "the message must be a JSON object")
		return draft{}, op, p.err()
	}
	d := op.build(op, job, message, &p)
	return d, op, p.err()
}

// checkEnvelope looks at what every message takes from the job around it. The
// job's schema has checked it before; a message with an empty identifier or
// time must not leave even if that was forgotten.
func checkEnvelope(job schemas.Job, p *problems) {
	if job.ID == "" {
		p.add(codeMissing, at("id"), "all identifiers of the message derive from the job's id; give one")
	}
	if len(job.Files) == 0 {
		p.add(codeMissing, at("files"), "a job carries at least one file")
	}
	switch year := job.RequestedAt.UTC().Year(); {
	case job.RequestedAt.IsZero():
		p.add(codeMissing, at("requested_at"), "it is the message's timestamp; give it")
	case year < 1 || year > 9999:
		p.add(codeInvalid, at("requested_at"), "a FHIR instant has a year from 0001 to 9999")
	}
	if _, ok := canonicalUUID(job.SourceID); job.SourceID != "" && !ok {
		p.add(codeInvalid, at("source_id"), "a Redox source id is a UUID of 36 characters")
	}
}

// sha1Size is the length of a SHA-1 in bytes.
const sha1Size = 20

// members of /message that the FHIR operations know.
var fhirMembers = []string{"patient", "resource", "entries", "header"}

// refuseUnknown makes sure that nothing of the caller's is dropped unsaid.
func refuseUnknown(message *node, known []string, p *problems) {
	for _, m := range message.members {
		if !slices.Contains(known, m.key) {
			p.add(codeInvalid, at("message").key(m.key), "the message of this operation has no such member; it would be lost")
		}
	}
}

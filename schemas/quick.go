package schemas

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// quickJob is the way of nearly all jobs: it reads one in a single pass, and
// takes it only where job.v1.schema.json and jobRules have nothing to say
// against it. It is written by hand, because a schema's interpreter costs five
// times as much; a refusal says nothing: judge does, and the tests hold the two
// to the same verdict.
func quickJob(data []byte) (Job, bool) {
	// The decoder itself refuses invalid UTF-8 and a key twice.
	q := quick{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data))}
	if depth(data) > MaxDepth || q.object(q.jobField) != nil {
		return Job{}, false
	}
	if _, err := q.dec.ReadToken(); !errors.Is(err, io.EOF) || !q.whole() {
		return Job{}, false
	}
	return q.job, true
}

// quick is one reading of a job.
type quick struct {
	data []byte
	dec  *jsontext.Decoder
	job  Job
	// seen are the required fields that were there.
	seen struct{ destination, files, message, requested bool }
	fhir fhirFacts
}

// fhirFacts are what matters of a message if it turns out to be FHIR's.
type fhirFacts struct {
	// broken tells of what no FHIR message may have.
	broken            bool
	patient, resource string
}

// errNotQuick ends a reading. It never leaves this file.
var errNotQuick = errors.New("not the common case")

func (q *quick) object(field func(name string) error) error {
	if tok, err := q.dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return errNotQuick
	}
	for q.dec.PeekKind() == '"' {
		tok, err := q.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := field(tok.String()); err != nil {
			return err
		}
	}
	_, err := q.dec.ReadToken()
	return err
}

// text reads a string that keeps its rule.
func (q *quick) text(into *string, rule func(string) bool) error {
	tok, err := q.dec.ReadToken()
	if err != nil || tok.Kind() != '"' {
		return errNotQuick
	}
	if *into = tok.String(); !rule(*into) {
		return errNotQuick
	}
	return nil
}

// time reads a date-time of this millennium.
func (q *quick) time(into *time.Time) error {
	var s string
	return q.text(&s, func(s string) bool {
		return isStrictTime(s) && s[0] == '2' && into.UnmarshalText([]byte(s)) == nil
	})
}

func (q *quick) jobField(name string) error {
	switch name {
	case "id":
		return q.text(&q.job.ID, ValidJobID)
	case "operation":
		return q.text(&q.job.Operation, KnownOperation)
	case "destination":
		q.seen.destination = true
		return q.object(q.destinationField)
	case "source_id":
		return q.text(&q.job.SourceID, isUUID)
	case "files":
		q.seen.files = true
		return q.files()
	case "transfer":
		return q.text((*string)(&q.job.Transfer), isTransfer)
	case "message":
		q.seen.message = true
		return q.message()
	case "requested_at":
		q.seen.requested = true
		return q.time(&q.job.RequestedAt)
	case "expires_at":
		return q.time(&q.job.ExpiresAt)
	case "after":
		return q.text(&q.job.After, ValidJobID)
	case "correlation":
		return q.correlation()
	}
	return errNotQuick
}

func (q *quick) destinationField(name string) error {
	to := &q.job.Destination
	switch name {
	case "slug":
		return q.text(&to.Slug, ValidAddress)
	case "id":
		return q.text(&to.ID, ValidAddress)
	case "name":
		return q.text(&to.Name, isName)
	case "environment":
		return q.text((*string)(&to.Environment), isEnvironment)
	}
	return errNotQuick
}

func (q *quick) files() error {
	if tok, err := q.dec.ReadToken(); err != nil || tok.Kind() != '[' {
		return errNotQuick
	}
	for q.dec.PeekKind() == '{' && len(q.job.Files) < 10 {
		var file File
		if err := q.object(func(name string) error { return q.fileField(&file, name) }); err != nil {
			return err
		}
		if file.Bucket == "" || file.Key == "" {
			return errNotQuick
		}
		q.job.Files = append(q.job.Files, file)
	}
	if tok, err := q.dec.ReadToken(); err != nil || tok.Kind() != ']' || len(q.job.Files) == 0 {
		return errNotQuick
	}
	return nil
}

func (q *quick) fileField(file *File, name string) error {
	switch name {
	case "bucket":
		return q.text(&file.Bucket, isBucket)
	case "key":
		return q.text(&file.Key, isKey)
	case "version_id":
		return q.text(&file.VersionID, isPin)
	case "etag":
		return q.text(&file.ETag, isPin)
	case "content_type":
		return q.text(&file.ContentType, isMIMEType)
	case "title":
		return q.text(&file.Title, isTitle)
	case "sha256":
		return q.text(&file.SHA256, isSHA256)
	}
	return errNotQuick
}

// correlation is counted by jobRules' measure, which is the stricter one.
func (q *quick) correlation() error {
	size := 0
	err := q.object(func(name string) error {
		var value string
		if err := q.text(&value, func(string) bool { return true }); err != nil {
			return err
		}
		if size += len(name) + len(value); size > MaxCorrelation || len(q.job.Correlation) == 16 {
			return errNotQuick
		}
		if q.job.Correlation == nil {
			q.job.Correlation = map[string]string{}
		}
		q.job.Correlation[name] = value
		return nil
	})
	return err
}

// message keeps the bytes, and looks at what the schema looks at.
func (q *quick) message() error {
	if q.dec.PeekKind() != '{' {
		return errNotQuick
	}
	// Between the name and its value are a colon and white space alone.
	start := q.dec.InputOffset() + int64(bytes.IndexByte(q.data[q.dec.InputOffset():], '{'))
	if err := q.object(q.messageField); err != nil {
		return err
	}
	q.job.Message = slices.Clone(q.data[start:q.dec.InputOffset()])
	return nil
}

func (q *quick) messageField(name string) error {
	switch name {
	case "patient":
		return q.resource(&q.fhir.patient)
	case "resource":
		return q.resource(&q.fhir.resource)
	case "entries":
		return q.entries()
	case "header":
		header := "MessageHeader"
		err := q.resource(&header)
		q.fhir.broken = q.fhir.broken || header != "MessageHeader"
		return err
	}
	q.fhir.broken = true
	return q.dec.SkipValue()
}

// resource reads the resourceType of an object and skips its other fields.
func (q *quick) resource(resourceType *string) error {
	if q.dec.PeekKind() != '{' {
		q.fhir.broken = true
		return q.dec.SkipValue()
	}
	return q.object(func(name string) error {
		if name != "resourceType" {
			return q.dec.SkipValue()
		}
		if q.dec.PeekKind() != '"' {
			q.fhir.broken = true
			return q.dec.SkipValue()
		}
		return q.text(resourceType, func(string) bool { return true })
	})
}

func (q *quick) entries() error {
	if q.dec.PeekKind() != '[' {
		q.fhir.broken = true
		return q.dec.SkipValue()
	}
	if _, err := q.dec.ReadToken(); err != nil {
		return err
	}
	for kind := q.dec.PeekKind(); kind != ']'; kind = q.dec.PeekKind() {
		var entry string
		if err := q.resource(&entry); err != nil {
			return err
		}
		q.fhir.broken = q.fhir.broken || !isResourceType(entry)
	}
	_, err := q.dec.ReadToken()
	return err
}

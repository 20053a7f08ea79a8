package schemas

import (
	"encoding/json"
	"time"
)

// Job asks for files to be delivered into one patient's chart.
// Its JSON form is job.v1.schema.json.
type Job struct {
	// ID is the idempotency key: 1-128 of [A-Za-z0-9_-].
	ID          string      `json:"id"`
	Operation   string      `json:"operation"`
	Destination Destination `json:"destination"`
	// SourceID is the Redox source; empty takes the worker's default.
	SourceID string   `json:"source_id,omitempty"`
	Files    []File   `json:"files"`
	Transfer Transfer `json:"transfer,omitempty"`
	// Message is what the caller says about the files, byte for byte as it
	// came: its shape belongs to the operation.
	Message     json.RawMessage `json:"message"`
	RequestedAt time.Time       `json:"requested_at"`
	ExpiresAt   time.Time       `json:"expires_at,omitzero"`
	// After is the id of a job of the same destination that must have been accepted
	// before this one is sent; empty waits for none.
	After string `json:"after,omitempty"`
	// DocumentOrder asks that the job is sent after the one that made the document which
	// it replaces or amends, and that it is remembered for those that change its own.
	DocumentOrder bool              `json:"document_order,omitempty"`
	Correlation   map[string]string `json:"correlation,omitempty"`
}

// Labels of the correlation by which the events of a backfill run are known. Events
// have them only where the copy of the job was published by the run: a submitter
// that writes them into a job of its own is not believed.
const (
	LabelRun  = "backfill_run"
	LabelLine = "backfill_line"
)

// Destination is where a job goes: a slug for FHIR, an id for the Data Model.
type Destination struct {
	Slug        string      `json:"slug,omitempty"`
	ID          string      `json:"id,omitempty"`
	Name        string      `json:"name,omitempty"`
	Environment Environment `json:"environment"`
}

// Address is the slug or the id, whichever the destination has.
func (d Destination) Address() string {
	if d.Slug != "" {
		return d.Slug
	}
	return d.ID
}

// Environment is Redox's environment flag.
type Environment string

// The environments of Redox.
const (
	Development Environment = "Development"
	Staging     Environment = "Staging"
	Production  Environment = "Production"
)

// File names one object in S3 and what the caller knows of it.
type File struct {
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"version_id,omitempty"`
	ETag      string `json:"etag,omitempty"`
	// ContentType may have a charset, and no other parameter. It defaults to what
	// the bytes say, and for a text to the object's own.
	ContentType string `json:"content_type,omitempty"`
	// Title defaults to the last element of the key.
	Title string `json:"title,omitempty"`
	// SHA256 is 64 lower-case hex digits, checked while the file streams.
	SHA256 string `json:"sha256,omitempty"`
}

// Transfer is how files travel.
type Transfer string

const (
	// Auto embeds small files and uploads the rest.
	Auto Transfer = "auto"
	// Upload sends each file to Redox's blob store and names its URL.
	Upload Transfer = "upload"
	// Embed puts each file into the message as base64.
	Embed Transfer = "embed"
)

// DefaultLifetime is how long after requested_at a job without expires_at is tried.
const DefaultLifetime = 72 * time.Hour

// Deadline is when the job is given up: expires_at, or its default.
func (j Job) Deadline() time.Time {
	if j.ExpiresAt.IsZero() {
		return j.RequestedAt.Add(DefaultLifetime)
	}
	return j.ExpiresAt
}

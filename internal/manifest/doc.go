// Package manifest reads the file that says which documents to deliver, and
// makes a job of each of its lines.
//
// A manifest is CSV (RFC 4180) or NDJSON, plain or gzip. A Template maps its
// columns to the fields of a job; without one, each line of an NDJSON manifest
// is a job itself. A line is known by the digest of the manifest and its
// number, and reading can resume behind any line without looking at those
// before it.
//
// Everything in a manifest is patient data, its header line too, since a file
// may lack one. A Fault names the number of a column, a column that the template
// names, a rule, and never a value.
package manifest

// MaxRecord is the most bytes of one line, quoted newlines included. A job has
// fewer (schemas.MaxJobSize).
const MaxRecord = 1 << 20

// Fault is one way in which a line cannot become a job. All of it is safe to
// show to anyone.
type Fault struct {
	// Code is a stable snake_case word.
	Code string `json:"code"`
	// Column is the column at fault as the template names it, or its number
	// ("#3") where the template does not; empty where no column is.
	Column string `json:"column,omitempty"`
	// Path is the JSON pointer into the job.
	Path string `json:"path,omitempty"`
	// Text states the rule.
	Text string `json:"text"`
}

// Error implements error.
func (f *Fault) Error() string {
	s := f.Code
	if f.Column != "" {
		s += ", column " + f.Column
	}
	if f.Path != "" {
		s += ", at " + f.Path
	}
	return s + ": " + f.Text
}

// Position is a place between two lines.
type Position struct {
	// Line is the number of the next line.
	Line int64 `json:"line"`
	// Offset is the offset of its first byte in the manifest's text, which is
	// what the manifest holds once it is decompressed, a byte order mark
	// included.
	Offset int64 `json:"offset"`
}

// Record is one line as it stands: not yet looked into.
type Record struct {
	// Number is the physical line on which the record begins, as an editor
	// counts: from 1, the header included.
	Number int64
	// Next is the place behind the record.
	Next Position
	raw  []byte
	// fault is what keeps the record from being one.
	fault *Fault
}

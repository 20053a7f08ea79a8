package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format is how a manifest is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Options say what a manifest does not say itself.
type Options struct {
	// Format is empty for NDJSON where the first byte is "{", else CSV.
	Format Format
	// Delimiter stands between the fields of a CSV manifest. 0 takes what a first line
	// "sep=;" says, else what stands most often in the first record.
	Delimiter byte
	Encoding  Encoding
	// Columns name the columns of a CSV manifest without a header line, and
	// those of an NDJSON manifest whose first line does not have them all.
	Columns []string
}

// Reader reads the lines of a manifest, in order. It is for one goroutine.
type Reader struct {
	format    Format
	delimiter byte
	columns   []string
	text      *text
	scan      *scanner
	// first is a record that was read to learn of the columns.
	first *Record
}

// The faults of a manifest as a whole. None quotes it.
var (
	// ErrEmpty is a manifest without a line.
	ErrEmpty = errors.New("the manifest is empty")
	// ErrHeader is a header line that cannot be one.
	ErrHeader = errors.New("line 1 of the manifest cannot be a header line")
	// ErrFirst is a first line from which the columns cannot be learnt.
	ErrFirst = errors.New("the first line of the manifest is no JSON object of single values: name the columns")
)

// NewReader reads as much of a manifest as tells its format and its columns.
// from is read as stored: gzip is known by its first bytes.
func NewReader(from io.Reader, o Options) (*Reader, error) {
	t, err := openText(from, o.Encoding)
	if err != nil {
		return nil, err
	}
	r := &Reader{format: o.Format, columns: slices.Clone(o.Columns), text: t, scan: newScanner(t)}
	for len(r.scan.window) < 3 && r.scan.more() {
	}
	head := r.scan.window
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		r.scan.cut(3)
	case len(head) == 0:
		if err := r.scan.end(); !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, ErrEmpty
	}
	if err := r.detect(o); err != nil {
		return nil, err
	}
	if len(r.columns) > 0 {
		return r, nil
	}
	return r, r.learn()
}

// ErrArray is a manifest that is one JSON array.
var ErrArray = errors.New("the manifest is a JSON array: write one object per line, without brackets and commas between them (NDJSON), for example with jq -c '.[]'")

// detect finds the format and the delimiter where they are not given.
func (r *Reader) detect(o Options) error {
	if r.format != CSV && bytes.HasPrefix(bytes.TrimLeft(r.scan.window, " \t\r\n"), []byte("[")) {
		return ErrArray
	}
	if r.format == "" {
		r.format = CSV
		if bytes.HasPrefix(r.scan.window, []byte("{")) {
			r.format = NDJSON
		}
	}
	if r.format != CSV {
		return nil
	}
	n, _ := r.scan.lineEnd(0)
	said := stated(r.scan.window[:n])
	if said != 0 {
		r.scan.cut(n)
		n, _ = r.scan.lineEnd(0)
	}
	r.delimiter = cmp.Or(o.Delimiter, said, delimiterOf(r.scan.window[:n]))
	r.scan.delimiter = r.delimiter
	return nil
}

// learn takes the columns from the first record.
func (r *Reader) learn() error {
	first, err := r.Next()
	if errors.Is(err, io.EOF) {
		return ErrEmpty
	}
	if err != nil {
		return err
	}
	if r.format == CSV {
		fields, fault := fieldsOf(first.raw, r.delimiter, nil)
		if first.fault != nil || fault != nil {
			return fmt.Errorf("%w: %w", ErrHeader, firstFault(first.fault, fault))
		}
		r.columns = fields
		return nil
	}
	first.raw = bytes.Clone(first.raw)
	r.first = &first
	row := newRow(nil, r.delimiter)
	if fault := row.readObject(first.raw, func(name string) int {
		r.columns = append(r.columns, name)
		return -1
	}); fault != nil || first.fault != nil {
		r.columns = nil
	}
	return nil
}

func firstFault(faults ...*Fault) error {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// Format is CSV or NDJSON.
func (r *Reader) Format() Format { return r.format }

// Delimiter stands between the fields of a CSV manifest; 0 of another.
func (r *Reader) Delimiter() byte { return r.delimiter }

// Columns are the names of the columns. They may be patient data, where a file
// lacks its header line.
func (r *Reader) Columns() []string { return slices.Clone(r.columns) }

// Next gives the next line that is not empty; after the last one it is io.EOF.
// The record is valid until the next call.
func (r *Reader) Next() (Record, error) {
	if r.first != nil {
		first := *r.first
		r.first = nil
		return first, nil
	}
	measure := measureLine
	if r.format == CSV {
		measure = measureCSV
	}
	return r.scan.next(measure)
}

// Resume goes on behind a line, with the Next of its Record. It is called
// before the first Next. A plain file is not read up to there; a gzip file is,
// but none of its lines is looked at.
func (r *Reader) Resume(at Position) error {
	ahead := at.Offset - r.scan.at.Offset
	if ahead < 0 {
		return errors.New("the place to resume at is before the first line")
	}
	r.first = nil
	if held := int64(len(r.scan.window)); ahead > held {
		if err := r.text.skip(ahead - held); err != nil {
			return err
		}
		r.scan.window = nil
	} else {
		r.text.skipped = true
		r.scan.window = r.scan.window[ahead:]
	}
	r.scan.at = at
	return nil
}

// Digest is the SHA-256, in hex, of the manifest's bytes as stored, and Size
// their number. Both are known once Next has said io.EOF; after Resume the
// digest is "".
func (r *Reader) Digest() (digest string, size int64) {
	return r.text.digest(), r.text.stored.size
}

// fieldsOf cuts a CSV record into its fields. The record is one that measureCSV
// took.
func fieldsOf(raw []byte, delimiter byte, into []string) ([]string, *Fault) {
	into = into[:0]
	line := string(raw)
	for {
		if len(line) == 0 || line[0] != '"' {
			end := strings.IndexByte(line, delimiter)
			if end < 0 {
				into = append(into, line)
				break
			}
			into, line = append(into, line[:end]), line[end+1:]
			continue
		}
		field, rest := unquote(line)
		into = append(into, field)
		if rest == "" {
			break
		}
		line = rest[1:]
	}
	if utf8.Valid(raw) {
		return into, nil
	}
	for i, field := range into {
		if !utf8.ValidString(field) {
			return into, &Fault{Code: "not_utf8", Column: fmt.Sprintf("#%d", i+1), Text: "is not UTF-8: save the manifest as UTF-8"}
		}
	}
	return into, &Fault{Code: "not_utf8", Text: "is not UTF-8: save the manifest as UTF-8"}
}

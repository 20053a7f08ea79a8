// Package inventory reads what says which objects an archive has: the reports of S3
// Inventory. It writes a list of objects as a manifest too.
//
// A report has a file manifest.json, which names its columns and its data files (AWS, "Locating
// your inventory list"). Data files are CSV without a header line, with URL-encoded keys (AWS,
// "Amazon S3 Inventory list").
package inventory

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/manifest"
)

// Object is one current object.
type Object struct {
	Bucket, Key string
	// Size is in bytes.
	Size int64
	// Modified is zero and ETag empty where the list does not say.
	Modified time.Time
	ETag     string
}

// Columns are those of a data file, in their order, by the names that S3 Inventory gives
// them. Names are compared without regard to case and underscores.
type Columns []string

// NewColumns refuses columns that do not say what an object is.
func NewColumns(names []string) (Columns, error) {
	c := make(Columns, len(names))
	for i, name := range names {
		c[i] = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "_", ""))
	}
	for _, name := range []string{"bucket", "key", "size"} {
		if !slices.Contains(c, name) {
			return nil, errors.New("must have " + name)
		}
	}
	return c, nil
}

// at is the place of a column that has one of the names, -1 for none.
func (c Columns) at(names ...string) int {
	return slices.IndexFunc(c, func(name string) bool { return slices.Contains(names, name) })
}

// Encoding says how keys are written.
type Encoding string

// The encodings of keys.
const (
	URL   Encoding = "url"
	Plain Encoding = "plain"
)

// LineError is a line that is none of an inventory. It has no value of the line.
type LineError struct {
	Line int64
	Text string
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Read gives the current objects of a CSV data file, plain or gzip. It passes over earlier
// versions and delete markers, where the columns say so, and over folders: keys that end
// with a slash. An error is the last thing given.
func Read(from io.Reader, columns Columns, keys Encoding) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		reader, err := manifest.NewReader(from, manifest.Options{Format: manifest.CSV, Delimiter: ',', Columns: columns})
		if err != nil {
			if !errors.Is(err, manifest.ErrEmpty) { // a report of an empty bucket
				yield(Object{}, err)
			}
			return
		}
		l := newLine(columns, keys)
		for row, err := range manifest.Rows(reader) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			object, current, fault := l.read(row)
			if fault != "" {
				yield(Object{}, &LineError{row.Number, fault})
				return
			}
			if current && !yield(object, nil) {
				return
			}
		}
	}
}

// line knows where the values of an object are.
type line struct {
	keys              Encoding
	bucket, key, size int
	modified, etag    int
	latest, deleted   int
}

func newLine(c Columns, keys Encoding) line {
	return line{
		keys: keys, bucket: c.at("bucket"), key: c.at("key"), size: c.at("size"),
		modified: c.at("lastmodifieddate", "modified"), etag: c.at("etag"),
		latest: c.at("islatest"), deleted: c.at("isdeletemarker"),
	}
}

// read reads one line; it says what is wrong with it, without its values. current is false
// where the line is no object that a job could have.
func (l line) read(row manifest.Row) (o Object, current bool, fault string) {
	if row.Fault != nil {
		return o, false, row.Fault.Error()
	}
	value := func(at int) string {
		if at < 0 {
			return ""
		}
		return row.Values[at]
	}
	if value(l.latest) == "false" || value(l.deleted) == "true" {
		return o, false, ""
	}
	o = Object{Bucket: value(l.bucket), Key: value(l.key), ETag: value(l.etag)}
	var err error
	if l.keys == URL {
		if o.Key, err = url.QueryUnescape(o.Key); err != nil {
			return o, false, "the key is not URL-encoded; see --inventory-keys"
		}
	}
	if strings.HasSuffix(o.Key, "/") {
		return o, false, ""
	}
	if o.Size, err = strconv.ParseInt(value(l.size), 10, 64); err != nil || o.Size < 0 {
		return o, false, "the size is not a whole number of bytes; see --inventory-columns"
	}
	if text := value(l.modified); text != "" {
		// A time that cannot be read is none: nothing but a template needs it.
		o.Modified, _ = time.Parse(time.RFC3339, text)
	}
	return o, true, ""
}

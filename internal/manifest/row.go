package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// unquote reads the quoted field that line begins with; rest begins with the
// delimiter behind it.
func unquote(line string) (field, rest string) {
	line = line[1:]
	end := strings.IndexByte(line, '"')
	if end < 0 {
		return line, ""
	}
	if end+1 == len(line) || line[end+1] != '"' {
		return line[:end], line[end+1:]
	}
	var b strings.Builder
	for end >= 0 && end+1 < len(line) && line[end+1] == '"' {
		b.WriteString(line[:end+1])
		line = line[end+2:]
		end = strings.IndexByte(line, '"')
	}
	if end < 0 {
		b.WriteString(line)
		return b.String(), ""
	}
	b.WriteString(line[:end])
	return b.String(), line[end+1:]
}

// row is one line's values, by column. It is used again for line after line.
type row struct {
	columns   map[string]int
	count     int
	delimiter byte
	values    []string
}

func newRow(columns []string, delimiter byte) *row {
	r := &row{columns: make(map[string]int, len(columns)), count: len(columns), delimiter: delimiter}
	for i, name := range columns {
		r.columns[name] = i
	}
	return r
}

// read fills in the values of a record.
func (r *row) read(format Format, record Record) *Fault {
	if record.fault != nil {
		return record.fault
	}
	if format == CSV {
		return r.readCSV(record.raw)
	}
	if cap(r.values) < r.count {
		r.values = make([]string, r.count)
	}
	r.values = r.values[:r.count]
	clear(r.values)
	return r.readObject(record.raw, func(name string) int {
		if i, known := r.columns[name]; known {
			return i
		}
		return -1
	})
}

func (r *row) readCSV(raw []byte) *Fault {
	var fault *Fault
	if r.values, fault = fieldsOf(raw, r.delimiter, r.values); fault != nil {
		return fault
	}
	if len(r.values) != r.count {
		return &Fault{Code: "field_count", Text: fmt.Sprintf("the line has %d fields and must have %d", len(r.values), r.count)}
	}
	return nil
}

var (
	faultNotJSON  = Fault{Code: "not_json", Text: "the line is not one JSON object in UTF-8 without a key twice"}
	faultNotValue = Fault{Code: "not_single", Text: "the value of a column must be a string, a number, true, false or null, not an array"}
)

// readObject reads the single values of an object. One inside another object
// has both names, joined with a dot. place tells where a value goes; -1 is
// nowhere. null is the empty value.
func (r *row) readObject(raw []byte, place func(name string) int) *Fault {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	if dec.PeekKind() != '{' {
		fault := faultNotJSON
		return &fault
	}
	fault := r.object(dec, "", place)
	if fault != nil {
		return fault
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		fault := faultNotJSON
		return &fault
	}
	return nil
}

func (r *row) object(dec *jsontext.Decoder, above string, place func(name string) int) *Fault {
	notJSON := faultNotJSON
	if _, err := dec.ReadToken(); err != nil {
		return &notJSON
	}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return &notJSON
		}
		name := above + tok.String()
		if dec.PeekKind() == '{' {
			if fault := r.object(dec, name+".", place); fault != nil {
				return fault
			}
			continue
		}
		if fault := r.value(dec, place(name)); fault != nil {
			return fault
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return &notJSON
	}
	return nil
}

func (r *row) value(dec *jsontext.Decoder, at int) *Fault {
	fault := faultNotJSON
	if at < 0 {
		if dec.SkipValue() != nil {
			return &fault
		}
		return nil
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return &fault
	}
	switch tok.Kind() {
	case '[':
		fault = faultNotValue
		return &fault
	case 'n':
		r.values[at] = ""
	default:
		r.values[at] = tok.String()
	}
	return nil
}

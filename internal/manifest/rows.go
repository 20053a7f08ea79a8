package manifest

import (
	"errors"
	"io"
	"iter"
)

// Row is one line's values in the order of the columns.
type Row struct {
	Number int64
	// Values are valid until the next row. They may be patient data.
	Values []string
	// Fault is set where the line is none.
	Fault *Fault
}

// Rows gives every line of a table as it is, for what is no manifest itself. An
// error is the last thing given.
func Rows(r *Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		row := newRow(r.columns, r.delimiter)
		for {
			record, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Row{}, err)
				return
			}
			fault := row.read(r.format, record)
			if !yield(Row{Number: record.Number, Values: row.values, Fault: fault}, nil) {
				return
			}
		}
	}
}

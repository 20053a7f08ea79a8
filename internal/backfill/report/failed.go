package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/manifest"
)

var errNoReport = errors.New("is no report: it has no columns line, job_id and outcome")

// failedColumns are what is read of a report.
var failedColumns = []string{"line", "job_id", "outcome"}

// Failed reads the lines that failed out of the report in a file, and gives the
// digest of the file. Its errors do not name the file.
func Failed(name string) (*backfill.Only, *backfill.Source, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	reader, err := openReport(file)
	if err != nil {
		return nil, nil, err
	}
	var at [3]int
	for i, name := range failedColumns {
		if at[i] = slices.Index(reader.Columns(), name); at[i] < 0 {
			return nil, nil, errNoReport
		}
	}
	only := backfill.NewOnly()
	for row, err := range manifest.Rows(reader) {
		if err != nil {
			return nil, nil, err
		}
		if row.Fault != nil {
			return nil, nil, fmt.Errorf("line %d: %w", row.Number, row.Fault)
		}
		line, err := strconv.ParseInt(row.Values[at[0]], 10, 64)
		if err != nil || line < 1 {
			return nil, nil, fmt.Errorf("line %d: has no number of a line", row.Number)
		}
		switch backfill.Outcome(row.Values[at[2]]) {
		case "":
			return nil, nil, fmt.Errorf("line %d: has no outcome", row.Number)
		case backfill.OutcomeFailed:
			only.Add(line, row.Values[at[1]])
		default: // not to be sent again
		}
	}
	if only.Len() == 0 {
		return nil, nil, errors.New("has no line that failed")
	}
	digest, size := reader.Digest()
	return only, &backfill.Source{SHA256: digest, Size: size}, nil
}

// openReport reads CSV by its own header line and, of an NDJSON report, whose rows
// hold lists too, what is asked for.
func openReport(file *os.File) (*manifest.Reader, error) {
	reader, err := manifest.NewReader(file, manifest.Options{})
	if errors.Is(err, manifest.ErrGzip) {
		return nil, err
	}
	if err != nil {
		return nil, errNoReport
	}
	if reader.Format() != manifest.NDJSON {
		return reader, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return manifest.NewReader(file, manifest.Options{Format: manifest.NDJSON, Columns: failedColumns})
}

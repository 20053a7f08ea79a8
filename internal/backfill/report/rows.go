// Package report writes the report of a run as a file, and reads one back.
package report

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
)

// columns are those of a report in CSV.
var columns = []string{
	"line", "job_id", "outcome", "reason", "path", "attempts", "possible_duplicate", "size", "sha256", "log_ids", "location", "accepted_at", "ended_at", "delivery",
}

// Columns are those of a report in CSV, in their order.
func Columns() []string { return append([]string(nil), columns...) }

// Rows writes rows to w, as NDJSON or as CSV with a line of heads. each writes one
// row, and end what is left to write after the last.
func Rows(w io.Writer, ndjson bool) (each func(backfill.Row) error, end func() error) {
	if ndjson {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(r backfill.Row) error { return encoder.Encode(r) }, func() error { return nil }
	}
	out := csv.NewWriter(w)
	headed := out.Write(columns)
	return func(r backfill.Row) error {
			return errors.Join(headed, out.Write([]string{
				strconv.FormatInt(r.Line, 10), r.JobID, string(r.Outcome), r.Reason, r.Path, strconv.Itoa(r.Attempts), strconv.FormatBool(r.PossibleDuplicate),
				positive(r.Size), strings.Join(r.SHA256, " "), strings.Join(r.LogIDs, " "), r.Location, instant(r.AcceptedAt), instant(r.EndedAt), string(r.Delivery),
			}))
		}, func() error {
			out.Flush()
			return out.Error()
		}
}

func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

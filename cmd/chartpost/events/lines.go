package events

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// csvHead are the columns of events; a new one goes to the end.
var csvHead = []string{
	"sequence", "time", "job_id", "class", "destination", "operation", "status", "attempt", "possible_duplicate", "next_attempt_at",
	"reason_kind", "reason_code", "reason_path", "reason_text", "files", "bytes",
	"receipt_status", "receipt_location", "receipt_log_ids", "receipt_trace_id", "receipt_accepted_at", "correlation",
}

// lineWriter gives what writes one event as a line. head asks for the line of
// heads that csv has.
func lineWriter(format string, w io.Writer, head bool) func(natsq.StoredEvent, []byte) error {
	if format != "csv" {
		return func(e natsq.StoredEvent, data []byte) error { return jsonLine(w, e.Sequence, data) }
	}
	rows := csv.NewWriter(w)
	return func(e natsq.StoredEvent, _ []byte) error {
		if head {
			head = false
			if err := rows.Write(csvHead); err != nil {
				return err
			}
		}
		if err := rows.Write(csvRow(e)); err != nil {
			return err
		}
		rows.Flush() // into the buffer behind it, so that a line is whole
		return rows.Error()
	}
}

// jsonLine writes the event as it was published, in one line.
func jsonLine(w io.Writer, sequence uint64, data []byte) error {
	var b bytes.Buffer
	b.WriteString(`{"sequence":` + strconv.FormatUint(sequence, 10) + `,"event":`)
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

func csvRow(e natsq.StoredEvent) []string {
	d := e.Event.Data
	var size int64
	for _, f := range d.Files {
		size += f.Size
	}
	reason, receipt := schemas.Reason{}, schemas.Receipt{}
	if d.Reason != nil {
		reason = *d.Reason
	}
	status := ""
	if d.Receipt != nil {
		receipt, status = *d.Receipt, strconv.Itoa(d.Receipt.Status)
	}
	correlation := ""
	if len(d.Correlation) > 0 {
		text, _ := json.Marshal(d.Correlation) // strings only
		correlation = string(text)
	}
	return []string{
		strconv.FormatUint(e.Sequence, 10), stamp(e.Event.Time), d.JobID, string(d.Class), d.Destination, d.Operation, string(d.Status),
		strconv.Itoa(d.Attempt), strconv.FormatBool(d.PossibleDuplicate), stamp(d.NextAttemptAt),
		reason.Kind, reason.Code, reason.Path, reason.Text, strconv.Itoa(len(d.Files)), strconv.FormatInt(size, 10),
		status, receipt.Location, strings.Join(receipt.LogIDs, " "), receipt.TraceID, stamp(receipt.AcceptedAt), correlation,
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// longestLine is more than an event takes.
const longestLine = 2 << 20

var (
	errResume   = errors.New("the end of the file is no export of events in this format")
	errNoExport = errors.New("the file does not begin like an export of events in this format, and was left as it is")
)

// resumeAt finds the sequence of the last whole line of an export, cuts off what
// follows it, and leaves the file at its end. 0 is an empty file, or one without
// a whole line.
func resumeAt(file *os.File, format string) (uint64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, cli.Cause(err)
	}
	from := max(info.Size()-longestLine, 0)
	end := make([]byte, info.Size()-from)
	if _, err := file.ReadAt(end, from); err != nil {
		return 0, cli.Cause(err)
	}
	if err := beginsAsExport(file, info.Size(), format); err != nil {
		return 0, err
	}
	whole := bytes.LastIndexByte(end, '\n') + 1
	if whole == 0 && from > 0 {
		return 0, errResume
	}
	last, kept := uint64(0), whole
	if whole > 0 {
		start := bytes.LastIndexByte(end[:whole-1], '\n') + 1
		if last, err = sequenceOf(string(end[start:whole-1]), format); err != nil {
			return 0, err
		}
	}
	if last == 0 {
		kept = 0 // the heads are written again
	}
	if err := file.Truncate(from + int64(kept)); err != nil {
		return 0, cli.Cause(err)
	}
	_, err = file.Seek(0, io.SeekEnd)
	return last, cli.Cause(err)
}

// beginsAsExport refuses a file that something else has written, or somebody
// named by mistake: what follows the last whole line is cut off.
func beginsAsExport(file *os.File, size int64, format string) error {
	begin := `{"sequence":`
	if format == "csv" {
		begin = strings.Join(csvHead, ",") + "\n"
	}
	head := make([]byte, min(size, int64(len(begin))))
	if _, err := file.ReadAt(head, 0); err != nil && len(head) > 0 {
		return cli.Cause(err)
	}
	if string(head) != begin[:len(head)] {
		return errNoExport
	}
	return nil
}

// sequenceOf reads the sequence of a line; 0 is the line of heads.
func sequenceOf(line, format string) (uint64, error) {
	text, ok := strings.CutPrefix(line, `{"sequence":`)
	if format == "csv" {
		if line == strings.Join(csvHead, ",") {
			return 0, nil
		}
		text, ok = line, true
	}
	number, _, _ := strings.Cut(text, ",")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || n == 0 {
		return 0, errResume
	}
	return n, nil
}

// Package show prints what Chartpost knows for people to read.
package show

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// Events writes events as a table that grows line by line, so its columns have
// fixed widths.
type Events struct {
	w      io.Writer
	color  bool
	headed bool
}

// NewEvents writes to w, with color only where the caller knows of a terminal.
func NewEvents(w io.Writer, color bool) *Events { return &Events{w: w, color: color} }

// row leaves 54 of 120 columns to the detail: as many as a DocumentReference with
// a UUID takes.
const row = "%-8s  %-24s  %-9s %3s  %-13s  %s"

// Add writes one event. Errors are the writer's.
func (t *Events) Add(e schemas.Event) error {
	if !t.headed {
		if _, err := fmt.Fprintf(t.w, row+"\n", "TIME", "JOB", "STATUS", "TRY", "FILES", "DETAIL"); err != nil {
			return err
		}
		t.headed = true
	}
	status := oneLine(fmt.Sprintf("%-9s", e.Data.Status))
	if t.color {
		status = Paint(e.Data.Status, status)
	}
	line := fmt.Sprintf(row, e.Time.Local().Format(time.TimeOnly), oneLine(e.Data.JobID), status,
		fmt.Sprint(e.Data.Attempt), oneLine(files(e.Data.Files)), oneLine(Detail(e.Data)))
	_, err := fmt.Fprintln(Raw(t.w), strings.TrimRight(line, " ")) // clean, except for the color
	return err
}

// files is the sum of a job's files and how they travel.
func files(list []schemas.EventFile) string {
	if len(list) == 0 {
		return ""
	}
	var sum int64
	for _, f := range list {
		sum += f.Size
	}
	text := size(sum)
	if len(list) > 1 {
		text = fmt.Sprintf("%d: %s", len(list), text)
	}
	return strings.TrimSpace(text + " " + string(list[0].Transfer))
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}

// Detail is what an event says beside its status: the reason, the next try, the
// receipt.
func Detail(d schemas.EventData) string {
	var parts []string
	if d.Reason != nil {
		parts = append(parts, strings.TrimSuffix(d.Reason.Code+" "+d.Reason.Path, " ")+": "+d.Reason.Text)
	}
	if !d.NextAttemptAt.IsZero() {
		parts = append(parts, "next try at "+d.NextAttemptAt.Local().Format(time.TimeOnly))
	}
	if r := d.Receipt; r != nil {
		parts = append(parts, cmp.Or(resource(r.Location), fmt.Sprintf("HTTP %d", r.Status)))
	}
	if e := d.Evidence; e != nil {
		parts = append(parts, evidence(e))
	}
	if d.PossibleDuplicate {
		parts = append(parts, "POSSIBLE DUPLICATE")
	}
	return strings.Join(parts, "; ")
}

// resource is the "Type/id" of a location, which is all that fits a line.
func resource(location string) string {
	versionless, _, _ := strings.Cut(location, "/_history/")
	parts := strings.Split(versionless, "/")
	return strings.Join(parts[max(len(parts)-2, 0):], "/")
}

// Paint colors a status: green for accepted, red for what needs a person,
// yellow for what is still under way.
func Paint(s schemas.Status, text string) string {
	code := "33"
	switch s {
	case schemas.StatusAccepted, schemas.StatusDuplicate, schemas.StatusDelivered:
		code = "32"
	case schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusUndelivered, schemas.StatusFiltered:
		code = "31"
	default: // under way
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// evidence is what an outcome was read from.
func evidence(e *schemas.Evidence) string {
	text := "log " + e.LogID
	if e.LogID == "" && e.Window != nil {
		text = fmt.Sprintf("%d jobs and %d logs", e.Window.Jobs, e.Window.Logs)
	}
	if e.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", e.Attempts)
	}
	return text
}

// Package show prints what Chartpost knows for people to read.
package show

import (
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
	colour bool
	headed bool
}

// NewEvents writes to w, with colour only where the caller knows of a terminal.
func NewEvents(w io.Writer, colour bool) *Events { return &Events{w: w, colour: colour} }

const row = "%-12s  %-30s  %-9s  %-7s  %-26s  %s\n"

// Add writes one event.
func (t *Events) Add(e schemas.Event) {
	if !t.headed {
		fmt.Fprintf(t.w, row, "TIME", "JOB", "STATUS", "ATTEMPT", "FILES", "DETAIL")
		t.headed = true
	}
	line := fmt.Sprintf(row, e.Time.Local().Format("15:04:05.000"), e.Data.JobID, e.Data.Status,
		fmt.Sprint(e.Data.Attempt), files(e.Data.Files), detail(e.Data))
	if t.colour {
		line = strings.Replace(line, string(e.Data.Status), paint(e.Data.Status), 1)
	}
	io.WriteString(t.w, line)
}

func files(list []schemas.EventFile) string {
	var parts []string
	for _, f := range list {
		parts = append(parts, fmt.Sprintf("%d B %s", f.Size, f.Transfer))
	}
	return strings.TrimSuffix(strings.Join(parts, ", "), " ")
}

func detail(d schemas.EventData) string {
	var parts []string
	if d.Reason != nil {
		parts = append(parts, strings.TrimSuffix(d.Reason.Code+" "+d.Reason.Path, " ")+": "+d.Reason.Text)
	}
	if !d.NextAttemptAt.IsZero() {
		parts = append(parts, "next try at "+d.NextAttemptAt.Local().Format(time.TimeOnly))
	}
	if r := d.Receipt; r != nil {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%d %s", r.Status, resource(r.Location)), " "))
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

// paint colours a status: green for accepted, red for what needs a person,
// yellow for what is still under way.
func paint(s schemas.Status) string {
	code := "33"
	switch s {
	case schemas.StatusAccepted, schemas.StatusDuplicate:
		code = "32"
	case schemas.StatusFailed, schemas.StatusUnknown:
		code = "31"
	}
	return "\x1b[" + code + "m" + string(s) + "\x1b[0m"
}

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
	w     io.Writer
	color bool
	// day is that of the last line; empty before the first.
	day string
}

// NewEvents writes to w, with color only where the caller knows of a terminal.
func NewEvents(w io.Writer, color bool) *Events { return &Events{w: w, color: color} }

// The columns leave 54 of 120 to the detail: as many as a DocumentReference with a UUID
// takes. On a narrower terminal the detail stands below.
func (t *Events) grid() *grid {
	g := &grid{heads: []string{"TIME", "JOB", "STATUS", "TRY", "FILES", "DETAIL"}, widths: []int{8, 24, 9, 3, 12, 0}}
	if width, _ := screen(t.w); width > 0 {
		g.bound = true
		g.widths[5] = 54
		g.fit(width)
	}
	return g
}

// day is the date and the zone of a time, as the reader's clock shows it.
func day(t time.Time) string { return t.Local().Format("2006-01-02 (MST)") }

// Add writes one event, under its date where that is another than before. Errors are the
// writer's.
func (t *Events) Add(e schemas.Event) error {
	g := t.grid()
	if t.day == "" {
		if _, err := io.WriteString(t.w, g.head()); err != nil {
			return err
		}
	}
	text := ""
	if today := day(e.Time); today != t.day {
		t.day = today
		text = today + "\n"
	}
	if t.color {
		g.paint = stateColor
	}
	d := e.Data
	text += g.row([]string{
		e.Time.Local().Format(time.TimeOnly), oneLine(d.JobID), oneLine(string(d.Status)), fmt.Sprintf("%3d", d.Attempt), oneLine(files(d.Files)), oneLine(Detail(d)),
	})
	_, err := io.WriteString(Raw(t.w), text) // clean, except for the color
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
		parts = append(parts, "next try at "+d.NextAttemptAt.Local().Format("15:04:05 MST"))
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
	code := colors[string(s)]
	if code == "" {
		code = yellow
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

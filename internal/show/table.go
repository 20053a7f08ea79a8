package show

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Lane is a line of the table of lanes.
type Lane struct {
	Class, Destination string
	Waiting, InHand    uint64
	// State is what holds the lane, and Until when that ends; zero is left out.
	State      string
	Until      time.Time
	By, Reason string
	// Limit is an operator's; 0 is none.
	Limit int
}

// Lanes writes a table of lanes. Errors are w's, here and below.
func Lanes(w io.Writer, lanes []Lane) error {
	rows := [][]string{{"CLASS", "DESTINATION", "WAITING", "IN HAND", "STATE", "UNTIL", "LIMIT", "BY", "REASON"}}
	for _, l := range lanes {
		limit := ""
		if l.Limit > 0 {
			limit = fmt.Sprint(l.Limit)
		}
		rows = append(rows, []string{l.Class, l.Destination, fmt.Sprint(l.Waiting), fmt.Sprint(l.InHand), l.State, moment(l.Until), limit, l.By, l.Reason})
	}
	return columns(w, rows)
}

// Letter is a line of the table of dead letters.
type Letter struct {
	Buried                          time.Time
	Job, Class, Destination, Status string
	// Reason is the reason's code, Path its place in the job.
	Reason, Path      string
	PossibleDuplicate bool
	// AcceptedSince says that the job was accepted after the letter was written.
	AcceptedSince bool
	// Size is in bytes.
	Size int
}

// Letters writes a table of dead letters.
func Letters(w io.Writer, letters []Letter) error {
	rows := [][]string{{"BURIED", "JOB", "CLASS", "DESTINATION", "STATUS", "SIZE", "REASON"}}
	for _, l := range letters {
		reason := strings.TrimSpace(l.Reason + " " + l.Path)
		if l.PossibleDuplicate {
			reason = strings.TrimPrefix(reason+"; POSSIBLE DUPLICATE", "; ")
		}
		if l.AcceptedSince {
			reason = strings.TrimPrefix(reason+"; accepted since", "; ")
		}
		rows = append(rows, []string{moment(l.Buried), l.Job, l.Class, l.Destination, l.Status, size(int64(l.Size)), reason})
	}
	return columns(w, rows)
}

// moment is a time as the reader's clock shows it.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// columns writes rows in columns; an empty cell is '-', so that a line can be cut
// at its blanks. What cannot be printed shows as '?': reasons and headers were
// written by others. On a terminal the table is as wide as the terminal at most, or
// has a block of lines a row where its heads do not fit, and states have colors.
func columns(w io.Writer, rows [][]string) error {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cmp.Or(oneLine(cell), "-")
		}
	}
	width, color := screen(w)
	if crowded(rows[0], width) {
		_, err := io.WriteString(Raw(w), blocks(rows, width, color))
		return err
	}
	g := newGrid(rows, width)
	var text strings.Builder
	for i, row := range rows {
		if i == 1 && color {
			g.paint = stateColor
		}
		text.WriteString(g.row(row))
	}
	_, err := io.WriteString(Raw(w), text.String()) // clean, except for the colors
	return err
}

// oneLine is text without what cannot be printed.
func oneLine(text string) string { return strings.Map(onlyPrintable, text) }

func onlyPrintable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// Table writes rows in columns under their heads.
func Table(w io.Writer, head []string, rows [][]string) error {
	return columns(w, append([][]string{head}, rows...))
}

// Pairs writes names and values, a line each; a pair without a value is left out.
func Pairs(w io.Writer, pairs [][2]string) error {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, len(p[0]))
		}
	}
	room := 0
	if screenWidth, _ := screen(w); screenWidth > 0 {
		room = max(screenWidth-width-len(gap), 2*narrowest)
	}
	var text strings.Builder
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		lines := []string{oneLine(p[1])}
		if room > 0 {
			lines = wrap(lines[0], room)
		}
		for i, line := range lines {
			name := p[0]
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(&text, "%-*s%s%s\n", width, name, gap, line)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

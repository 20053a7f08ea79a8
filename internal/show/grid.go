package show

import (
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// narrowest is how narrow a column becomes before the table is wider than the terminal.
	narrowest = 6
	// readable is how wide the last column is at least beside the others: it has the text.
	// Where less is left for it, it stands below them.
	readable = 24
	// indent is before what stands below.
	indent = "    "
)

// gap lies between two columns.
const gap = "  "

// screen is what w is known to be: its columns, 0 for no bound, and whether it shows
// colors.
func screen(w io.Writer) (width int, color bool) {
	if v, ok := w.(*Visible); ok {
		return v.Width, v.Color
	}
	return 0, false
}

// grid is rows of cells under their heads, which are the first row.
type grid struct {
	widths []int
	// below is the width of the last column where it stands below the others.
	below int
	// bound: a cell that is wider than its column takes more lines.
	bound bool
	// paint gives the color of a cell; nil and empty are none.
	paint func(head, cell string) string
	heads []string
}

// newGrid makes the columns as wide as their widest cell, or narrower where they do not
// fit: the widest give way first, and their cells take more lines.
func newGrid(rows [][]string, width int) *grid {
	g := &grid{heads: rows[0], widths: make([]int, len(rows[0]))}
	for _, row := range rows {
		for i, cell := range row {
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cell))
		}
	}
	if g.bound = width > 0; g.bound {
		g.fit(width)
	}
	return g
}

// fit makes the columns as narrow as a width wants it.
func (g *grid) fit(width int) {
	last := len(g.widths) - 1
	others := len(gap) * last
	for _, w := range g.widths[:last] {
		others += w
	}
	if g.widths[last] > readable && others+readable > width {
		g.below = max(width-len(indent), narrowest)
		g.widths[last] = 0
	}
	if g.below > 0 {
		fit(g.widths[:last], width-len(gap)*(last-1))
		return
	}
	fit(g.widths, width-len(gap)*last)
}

// fit makes the widest columns narrower until all fit.
func fit(widths []int, room int) {
	for {
		sum, widest, next := 0, 0, narrowest
		for _, w := range widths {
			sum += w
			widest = max(widest, w)
		}
		if sum <= room || widest <= narrowest {
			return
		}
		of := 0
		for _, w := range widths {
			if w == widest {
				of++
			} else {
				next = max(next, w)
			}
		}
		// Down to the next widest, or as far as needed.
		to := max(next, widest-(sum-room+of-1)/of)
		for i, w := range widths {
			if w == widest {
				widths[i] = to
			}
		}
	}
}

// row is a row's lines, each with its end.
func (g *grid) row(cells []string) string {
	if last := len(cells) - 1; g.below > 0 {
		return g.besides(cells[:last]) + g.beneath(cells[last])
	}
	return g.besides(cells)
}

// beneath is the last cell on lines of its own.
func (g *grid) beneath(cell string) string {
	if cell == "-" || cell == "" || cell == g.heads[len(g.heads)-1] {
		return ""
	}
	var out strings.Builder
	for _, line := range wrap(cell, g.below) {
		out.WriteString(indent + line + "\n")
	}
	return out.String()
}

// besides are cells beside each other.
func (g *grid) besides(cells []string) string {
	lines := make([][]string, len(cells))
	height := 1
	for i, cell := range cells {
		lines[i] = []string{cell}
		if g.bound {
			lines[i] = wrap(cell, g.widths[i])
		}
		height = max(height, len(lines[i]))
	}
	var out strings.Builder
	for n := range height {
		var text strings.Builder
		for i := range cells {
			part := ""
			if n < len(lines[i]) {
				part = lines[i][n]
			}
			if i < len(cells)-1 {
				part += strings.Repeat(" ", max(g.widths[i]-utf8.RuneCountInString(part), 0))
			}
			if code := g.color(i, cells[i]); code != "" && strings.TrimSpace(part) != "" {
				part = "\x1b[" + code + "m" + part + "\x1b[0m"
			}
			text.WriteString(part + gap)
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return out.String()
}

// head is the line of heads.
func (g *grid) head() string {
	plain := &grid{heads: g.heads, widths: g.widths, below: g.below}
	return plain.row(g.heads)
}

func (g *grid) color(column int, cell string) string {
	if g.paint == nil {
		return ""
	}
	return g.paint(g.heads[column], cell)
}

// wrap cuts a text into lines: at blanks, and where a word is longer, within it.
func wrap(text string, width int) []string {
	if utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for runes := []rune(line); len(runes) > width; runes = []rune(line) {
			lines, line = append(lines, string(runes[:width])), string(runes[width:])
		}
	}
	return append(lines, line)
}

// colors are those of states and statuses: what is well, what needs a person, and what
// waits for something.
var colors = map[string]string{
	"open": green, "accepted": green, "duplicate": green, "running": green, "ended": green, "ok": green, "delivered": green,
	"broken": red, "unserved": red, "failed": red, "unknown": red, "dead": red, "refused": red, "undelivered": red, "filtered": red,
	"paused": yellow, "probing": yellow, "waiting": yellow, "cancelled": yellow, "retrying": yellow, "uploaded": yellow,
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// stateColor is the color of a cell of a column of states. Of two states the first counts.
func stateColor(head, cell string) string {
	if head != "STATE" && head != "STATUS" && head != "STAGE" {
		return ""
	}
	word, _, _ := strings.Cut(cell, ",")
	return colors[word]
}

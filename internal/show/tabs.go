package show

import (
	"bytes"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Tabs takes lines whose cells end with tabs, and writes them in columns at Flush. A blank
// line begins another table. On a terminal no line is wider than the terminal.
type Tabs struct {
	w    io.Writer
	text bytes.Buffer
}

// NewTabs writes to w.
func NewTabs(w io.Writer) *Tabs { return &Tabs{w: w} }

// Write implements io.Writer; it does not fail.
func (t *Tabs) Write(p []byte) (int, error) { return t.text.Write(p) }

// Flush writes the tables. Errors are those of the writer.
func (t *Tabs) Flush() error {
	defer t.text.Reset()
	width, _ := screen(t.w)
	if width == 0 {
		plain := tabwriter.NewWriter(t.w, 0, 0, len(gap), ' ', 0)
		if _, err := plain.Write(t.text.Bytes()); err != nil {
			return err
		}
		return plain.Flush()
	}
	for i, paragraph := range strings.Split(strings.TrimSuffix(t.text.String(), "\n"), "\n\n") {
		if i > 0 {
			paragraph = "\n" + paragraph
		}
		if err := t.paragraph(paragraph, width); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tabs) paragraph(text string, width int) error {
	var rows [][]string
	most := 1
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, "\t")
		most = max(most, len(cells))
		rows = append(rows, cells)
	}
	g := &grid{heads: make([]string, most), widths: make([]int, most), bound: true}
	for _, row := range rows {
		for i, cell := range row {
			if i < len(row)-1 || len(row) == most { // the last cell of a short row may reach further
				g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	g.fit(width)
	var out strings.Builder
	for _, row := range rows {
		switch {
		case len(row) == most && most > 1:
			out.WriteString(g.row(row))
		case len(row) == 1:
			out.WriteString(strings.Join(wrap(row[0], width), "\n") + "\n")
		default:
			out.WriteString(g.besides(row))
		}
	}
	_, err := io.WriteString(t.w, out.String())
	return err
}

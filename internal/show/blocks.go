package show

import (
	"strings"
	"unicode/utf8"
)

// crowded reports whether the words of the heads alone are wider than the terminal, so that
// columns beside each other could not be read.
func crowded(heads []string, width int) bool {
	sum := len(gap) * (len(heads) - 1)
	for _, head := range heads {
		longest := 0
		for word := range strings.FieldsSeq(head) {
			longest = max(longest, utf8.RuneCountInString(word))
		}
		sum += longest
	}
	return width > 0 && sum > width
}

// blocks are rows as blocks: a line for each head with its cell. Without rows it is the heads.
func blocks(rows [][]string, width int, color bool) string {
	heads := rows[0]
	if len(rows) == 1 {
		return strings.Join(wrap(strings.Join(heads, gap), width), "\n") + "\n"
	}
	g := newGrid([][]string{{"", ""}}, 0)
	for _, head := range heads {
		g.widths[0] = max(g.widths[0], utf8.RuneCountInString(head))
	}
	g.bound, g.widths[1] = true, max(width-g.widths[0]-len(gap), narrowest)
	if color {
		g.paint = stateColor
	}
	var text strings.Builder
	for n, row := range rows[1:] {
		if n > 0 {
			text.WriteString("\n")
		}
		for i, cell := range row {
			g.heads = []string{"", heads[i]}
			text.WriteString(g.row([]string{heads[i], cell}))
		}
	}
	return text.String()
}

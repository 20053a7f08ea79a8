package show

import (
	"bytes"
	"testing"
)

// TestManyColumnsAreBlocks: a table whose heads do not fit beside each other has a line for
// each cell. One that fits stays a table.
func TestManyColumnsAreBlocks(t *testing.T) {
	heads := []string{"RUN", "STATE", "ACCEPTED", "NOT FED"}
	rows := [][]string{{"y1", "ended", "8", "0"}, {"y2", "paused", "2", ""}}
	for name, c := range map[string]struct {
		width int
		color bool
		rows  [][]string
		want  string
	}{
		"fits":   {40, false, rows, "RUN  STATE   ACCEPTED  NOT FED\ny1   ended   8         0\ny2   paused  2         -\n"},
		"blocks": {20, false, rows, "RUN       y1\nSTATE     ended\nACCEPTED  8\nNOT FED   0\n\nRUN       y2\nSTATE     paused\nACCEPTED  2\nNOT FED   -\n"},
		"colors": {20, true, rows[:1], "RUN       y1\nSTATE     \x1b[32mended\x1b[0m\nACCEPTED  8\nNOT FED   0\n"},
		"empty":  {20, false, nil, "RUN STATE ACCEPTED\nNOT FED\n"},
	} {
		var out bytes.Buffer
		if err := Table(&Visible{Width: c.width, Color: c.color, w: &out}, heads, c.rows); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, &out, c.want)
		}
	}
}

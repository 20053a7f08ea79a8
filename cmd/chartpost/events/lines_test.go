package events

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResumeAt(t *testing.T) {
	head, begin := strings.Join(csvHead, ","), `{"sequence":7,"event":`
	for name, c := range map[string]struct {
		format, text, left string
		last               uint64
		bad                bool
	}{
		"empty":              {format: "ndjson"},
		"whole":              {format: "ndjson", text: `{"sequence":7,"event":{}}` + "\n", left: `{"sequence":7,"event":{}}` + "\n", last: 7},
		"torn":               {format: "ndjson", text: `{"sequence":7,"event":{}}` + "\n" + `{"seque`, left: `{"sequence":7,"event":{}}` + "\n", last: 7},
		"torn at once":       {format: "ndjson", text: `{"seque`},
		"no line at all":     {format: "ndjson", text: "Zebedee", bad: true},
		"not from its begin": {format: "ndjson", text: "Zebedee\n" + `{"sequence":7,"event":{}}` + "\n", bad: true},
		"csv, torn heads":    {format: "csv", text: head[:9], left: ""},
		"csv, no line":       {format: "csv", text: "sequence,Zebedee", bad: true},
		"another csv":        {format: "csv", text: "a,b\n12,Zebedee\n", bad: true},
		"another's":          {format: "ndjson", text: "Zebedee\n", bad: true},
		"csv":                {format: "csv", text: head + "\n12,x\n", left: head + "\n12,x\n", last: 12},
		"csv, heads only":    {format: "csv", text: head + "\n13,", left: ""},
		"csv for ndjson":     {format: "ndjson", text: head + "\n12,x\n", bad: true},
		"ndjson for csv":     {format: "csv", text: `{"sequence":7,"event":{}}` + "\n", bad: true},
		"long":               {format: "ndjson", text: begin + strings.Repeat("x", longestLine-len(begin)) + "\n" + `{"sequence":8,"event":{}}` + "\nto", left: "x", last: 8},
	} {
		path := filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		last, err := resumeAt(file, c.format)
		file.Close()
		left, _ := os.ReadFile(path)
		if c.bad {
			if err == nil || string(left) != c.text || strings.Contains(err.Error(), "Zebedee") {
				t.Errorf("%s: %d, %v", name, last, err)
			}
			continue
		}
		same := string(left) == c.left || c.left == "x" && len(left) == longestLine+len(`{"sequence":8,"event":{}}`)+2
		if err != nil || last != c.last || !same {
			t.Errorf("%s: %d, %v, leaves %d bytes", name, last, err, len(left))
		}
	}
}

package job

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the diagram of phases into docs/architecture.md")

const (
	page  = "../../docs/architecture.md"
	begin = "<!-- phases: written by go test ./internal/job -update -->\n"
	end   = "<!-- end of phases -->\n"
)

// diagram is the table of moves as a Mermaid state diagram.
func diagram() string {
	var b bytes.Buffer
	state := func(p Phase) string {
		if p == none {
			return "[*]"
		}
		return string(p)
	}
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, m := range moves() {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", state(m.from), state(m.to), m.when)
	}
	b.WriteString("    accepted --> [*]\n```\n")
	return b.String()
}

// TestDiagramIsCurrent: docs/architecture.md shows the table of moves as it is.
func TestDiagramIsCurrent(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := bytes.Cut(text, []byte(begin))
	_, after, closed := bytes.Cut(rest, []byte(end))
	if !opened || !closed {
		t.Fatalf("%s has no place for the diagram", page)
	}
	want := bytes.Join([][]byte{before, []byte(begin), []byte(diagram()), []byte(end), after}, nil)
	if bytes.Equal(text, want) {
		return
	}
	if !*update {
		t.Fatalf("the diagram of phases in %s is not current: go test ./internal/job -run TestDiagramIsCurrent -update", page)
	}
	if err := os.WriteFile(page, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

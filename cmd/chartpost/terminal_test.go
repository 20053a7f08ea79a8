package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// escape is a byte that a terminal obeys. What follows clears the screen, asks for
// the clipboard, and runs a text backwards.
const escape = "\x1b[2J\x1b]52;c;?\x07\u009b31m\u202e\r"

// TestHostileTextOnATerminal: whatever a publisher or an operator wrote, no command
// sends it to a terminal as it is. A pipe or file gets the job byte for byte.
func TestHostileTextOnATerminal(t *testing.T) {
	o := newOffice(t)
	data := fmt.Appendf(nil, `{"id":"bad","correlation":{"a":%q},"message":{"x":"`, escape)
	data = append(append(data, escape...), `"}}`...)
	err := o.queue.Outbox().Bury(t.Context(), worker.DeadLetter{
		Lane: schemas.Lane{Class: schemas.Live, Destination: "good-health"}, Data: data, Key: "dead/1/bad/1/failed", JobID: "bad",
		Status: schemas.StatusFailed, Reason: schemas.Reason{Kind: "permanent", Code: "job_invalid", Text: "text " + escape, Path: "/x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	terminal := cli.Streams{In: strings.NewReader(""), InTerminal: true, OutTerminal: true, ErrTerminal: true}
	content := []string{"dead", "show", "bad", "--show-content", "--reason", "look"}
	for _, args := range [][]string{
		content, {"dead", "show", "bad"}, {"dead", "show", "bad", "--json"}, {"dead", "ls"}, {"dead", "ls", "--json"},
		{"status", "bad"}, {"status", "bad", "--json"}, {"audit", "ls"}, {"audit", "ls", "--json"}, {"lane", "ls"},
		{"names", "dead"},
	} {
		said := o.with(cli.ExitOK, terminal, args...)
		// The program's own colors are the only escape sequences.
		plain := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(said)
		if at := strings.IndexFunc(plain, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("%v: %q", args, plain[max(at-20, 0):])
		}
	}
	if said := o.with(cli.ExitOK, terminal, content...); !strings.Contains(said, `\x1b[2J\x1b]52;c;?\a\u009b31m\u202e\r`) {
		t.Errorf("what is hostile is not shown: %s", said)
	}
	if said := o.do(cli.ExitOK, content...); said != string(data) {
		t.Errorf("a pipe gets %q", said)
	}
	// An error quotes what was given.
	if said := o.with(cli.ExitUsage, terminal, "lane", "ls", "--class", escape); strings.Contains(said, "\x1b") || strings.Contains(said, "\u202e") {
		t.Errorf("%q", said)
	}
}

// A shell expands the words it completes.
func TestNamesThatAShellWouldRunAreNotOffered(t *testing.T) {
	for name, want := range map[string]bool{
		"good-health": true, "lab_2026.1~a": true, "": false, "$(reboot)": false, "`reboot`": false, "a b": false, "a;b": false, "\x1b[2J": false, "a\nb": false,
	} {
		if offered.MatchString(name) != want {
			t.Errorf("%q", name)
		}
	}
}

// TestWhatIsPrintedFitsATerminal: no line is longer than the terminal, and colors are for
// terminals alone.
func TestWhatIsPrintedFitsATerminal(t *testing.T) {
	o := newOffice(t)
	id := strings.Repeat("a-long-id-", 10)
	o.bury(id, "2099-01-01T00:00:00Z")
	o.do(cli.ExitOK, "lane", "pause", "live", "good-health", "--for", "2h", "--reason", strings.Repeat("their maintenance ", 8), "--operator", "ann")
	colors := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	for _, args := range []string{"top --once", "dead ls --list", "dead ls", "lane ls", "status " + id, "audit ls", "dead show " + id, "setup"} {
		for _, width := range []int{80, 120, 200} {
			said := o.with(cli.ExitOK, cli.Streams{In: strings.NewReader(""), OutTerminal: true, Width: width}, strings.Fields(args)...)
			if strings.Contains(args, "ls") && strings.HasPrefix(args, "lane") && !strings.Contains(said, "\x1b[33mpaused") {
				t.Errorf("%s: no color in %s", args, said)
			}
			for line := range strings.Lines(colors.Replace(said)) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.Contains(line, ": ") {
					t.Errorf("%s: %d columns, not %d: %s", args, n, width, line)
				}
			}
		}
		if said := o.do(cli.ExitOK, strings.Fields(args)...); strings.Contains(said, "\x1b") {
			t.Errorf("%s: a color in a pipe: %s", args, said)
		}
	}
}

package show

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestTablesFitTheTerminal: at 80, 120 and 200 columns no line is longer, and no word of a
// cell is lost.
func TestTablesFitTheTerminal(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.Local)
	id := strings.Repeat("0123456789", 12)
	for _, width := range []int{80, 120, 200} {
		var out bytes.Buffer
		w := &Visible{Width: width, w: &out}
		Lanes(w, []Lane{
			{Class: "live", Destination: "the-university-hospital-of-a-large-town", Waiting: 120_000, InHand: 8, State: "paused, broken", Until: at, By: "ann@ops.example.org", Reason: "their maintenance window of the whole weekend; broken: redox_status_503", Limit: 2},
			{Class: "backfill", Destination: "a", State: "open"},
		})
		Letters(w, []Letter{{Buried: at, Job: id, Class: "backfill", Destination: "good-health", Status: "unknown", Reason: "no_answer", Path: "/files/0", PossibleDuplicate: true, Size: 1500}})
		Pairs(w, [][2]string{{"job", id}, {"reason", strings.Repeat("word ", 60)}})
		events := NewEvents(w, false)
		for _, e := range list() {
			events.Add(e)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns, not %d: %s", n, width, line)
			}
		}
		squeezed := strings.Join(strings.Fields(out.String()), "")
		for _, word := range []string{"maintenance", "redox_status_503", at.Format("2006-01-02"), "weekend;"} {
			if !strings.Contains(squeezed, word) {
				t.Errorf("%d columns: no %q in\n%s", width, word, &out)
			}
		}
	}
}

func TestFit(t *testing.T) {
	for want, c := range map[string]struct {
		widths []int
		room   int
	}{
		"[10 20 30]": {[]int{10, 20, 30}, 60}, "[10 20 29]": {[]int{10, 20, 30}, 59}, "[10 15 15]": {[]int{10, 20, 30}, 40},
		"[6 6 6]": {[]int{10, 20, 30}, 5}, "[3 8 8]": {[]int{3, 20, 30}, 19},
	} {
		if fit(c.widths, c.room); fmt.Sprint(c.widths) != want {
			t.Errorf("%v, want %s", c.widths, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string]string{
		"short": "[short]", "two words here": "[two|words|here]", "abcdefghijklm": "[abcdefgh|ijklm]", "a abcdefghijkl b": "[a|abcdefgh|ijkl b]",
	} {
		if got := "[" + strings.Join(wrap(text, 8), "|") + "]"; got != want && !(text == "two words here" && got == "[two|words|here]") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestColorsOfStates: only in columns of states, and of two the first counts.
func TestColorsOfStates(t *testing.T) {
	var out bytes.Buffer
	Table(&Visible{Color: true, w: &out}, []string{"STATE", "REASON"}, [][]string{{"open", "open"}, {"unserved, paused", "x"}, {"other", "failed"}})
	want := "STATE             REASON\n\x1b[32mopen            \x1b[0m  open\n\x1b[31munserved, paused\x1b[0m  x\nother             failed\n"
	if out.String() != want {
		t.Errorf("%q\nwant %q", out.String(), want)
	}
}

// TestTabs: as the library does without a bound, and within it on a terminal.
func TestTabs(t *testing.T) {
	const text = "limit\t7500\trequests in 5m0s, as set\nassumed\t3250\tof before the record was made: what was sent then is unknown, so the window is taken to have been full\n\nOUTCOME\tLINES\naccepted\t12\nand 5 more\n"
	var plain, narrow bytes.Buffer
	for _, w := range []*Tabs{NewTabs(&plain), NewTabs(&Visible{Width: 60, w: &narrow})} {
		fmt.Fprint(w, text)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want := "limit    7500  requests in 5m0s, as set\nassumed  3250  of before the record was made: what was sent then is unknown, so the window is taken to have been full\n\nOUTCOME   LINES\naccepted  12\nand 5 more\n"
	if plain.String() != want {
		t.Errorf("plain:\n%s", &plain)
	}
	want = `limit    7500  requests in 5m0s, as set
assumed  3250  of before the record was made: what was sent
               then is unknown, so the window is taken to
               have been full

OUTCOME   LINES
accepted  12
and 5 more
`
	if narrow.String() != want {
		t.Errorf("narrow:\n%s", &narrow)
	}
}

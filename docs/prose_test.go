// Package docs has tests of the pages beside it.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// figures measure how a page reads: words of a sentence, in the middle and at the
// 90th percentile; words of the longest cell of a table; characters of the longest
// line outside tables and code.
type figures struct{ median, p90, cell, line int }

// goal is what every page shall reach.
var goal = figures{median: 16, p90: 28, cell: 40, line: 120}

// stillAbove are the pages that do not reach the goal yet. A figure may go down and
// not up: lower it with the page, and remove a page that reaches the goal.
var stillAbove = map[string]figures{
	"architecture.md":  {17, 35, 54, 434},
	"backfill.md":      {17, 33, 40, 120},
	"configuration.md": {16, 33, 44, 122},
	"content-guard.md": {16, 28, 44, 120},
	"deploying.md":     {16, 34, 40, 422},
	"guarantees.md":    {16, 28, 58, 120},
	"operating.md":     {16, 34, 40, 442},
	"operations.md":    {16, 28, 40, 390},
	"performance.md":   {16, 34, 40, 120},
	"permissions.md":   {18, 31, 59, 390},
	"telemetry.md":     {16, 28, 44, 120},
}

// TestPagesReadEasily prints each page's figures with -v.
func TestPagesReadEasily(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob("decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = slices.Concat(pages, decisions, []string{"../README.md", "../CONTRIBUTING.md"})
	if len(pages) < 20 {
		t.Fatalf("only %d pages were found", len(pages))
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		got, limit := measure(string(text)), goal
		if known, ok := stillAbove[page]; ok {
			limit = known
		}
		t.Logf("%-32s median %2d, p90 %2d, cell %3d, line %3d", page, got.median, got.p90, got.cell, got.line)
		for _, one := range []struct {
			what      string
			got, most int
		}{
			{"words of the middle sentence", got.median, limit.median},
			{"words of a sentence at the 90th percentile", got.p90, limit.p90},
			{"words of a cell of a table", got.cell, limit.cell},
			{"characters of a line", got.line, limit.line},
		} {
			if one.got > one.most {
				t.Errorf("%s: %d %s, at most %d: write shorter sentences, lists instead of full cells, wrapped lines", page, one.got, one.what, one.most)
			}
		}
	}
}

func TestMeasure(t *testing.T) {
	got := measure("# A heading\n\nOne two three. Four `a b c` [six seven](x.md)!\n\n- an item\n  that goes on\n\n| a | b |\n|---|---|\n| one two | x |\n\n```sh\nnot this one at all\n```\n")
	if want := (figures{median: 4, p90: 5, cell: 2, line: 46}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

var (
	link     = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	code     = regexp.MustCompile("`[^`]*`")
	item     = regexp.MustCompile(`^\s*([-*]|\d+\.)\s+`)
	ending   = regexp.MustCompile(`[.!?]["')*]*\s+`)
	wordlike = regexp.MustCompile(`[\pL\pN]`)
)

func measure(page string) figures {
	var f figures
	var lengths []int
	var paragraph []string
	end := func() {
		for _, sentence := range ending.Split(strings.Join(paragraph, " ")+" ", -1) {
			if n := words(sentence); n > 0 {
				lengths = append(lengths, n)
			}
		}
		paragraph = nil
	}
	fenced := false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
			end()
		case fenced || strings.HasPrefix(line, "    "): // code
		case trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "<!--"):
			end()
		case strings.HasPrefix(trimmed, "|"):
			end()
			for cell := range strings.SplitSeq(plain(trimmed), "|") {
				f.cell = max(f.cell, words(cell))
			}
		default:
			if item.MatchString(line) {
				end()
				trimmed = item.ReplaceAllString(line, "")
			}
			f.line = max(f.line, len([]rune(line)))
			paragraph = append(paragraph, plain(trimmed))
		}
	}
	end()
	if slices.Sort(lengths); len(lengths) > 0 {
		f.median, f.p90 = lengths[len(lengths)/2], lengths[len(lengths)*9/10]
	}
	return f
}

// plain is the text as it is read: a link is its words, and code is one.
func plain(text string) string {
	return code.ReplaceAllString(link.ReplaceAllString(text, "$1"), "code")
}

func words(text string) int {
	n := 0
	for _, field := range strings.Fields(text) {
		if wordlike.MatchString(field) {
			n++
		}
	}
	return n
}

// TestEveryPageIsListed: the index has each page, and every page it names is there.
func TestEveryPageIsListed(t *testing.T) {
	for index, pattern := range map[string]string{"README.md": "*.md", "decisions/README.md": "decisions/*.md"} {
		text, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			if page != index && !strings.Contains(string(text), "("+filepath.Base(page)+")") {
				t.Errorf("%s does not list %s", index, page)
			}
		}
	}
}

// TestLinksLead: every relative link of a page names a file that is there.
func TestLinksLead(t *testing.T) {
	links := 0
	for _, pattern := range []string{"*.md", "decisions/*.md", "../*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range target.FindAllStringSubmatch(string(text), -1) {
				file, _, _ := strings.Cut(found[1], "#")
				if file == "" || strings.Contains(file, ":") {
					continue
				}
				links++
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), file)); err != nil {
					t.Errorf("%s: its link %s leads nowhere", page, found[1])
				}
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

var target = regexp.MustCompile(`\]\(([^)\s]+)\)`)

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/cli"
)

const backfillPage = "../../docs/backfill.md"

var block = regexp.MustCompile("(?s)<!-- (file: [a-z.]+|command|output) -->\n```[a-z]*\n(.*?)```")

// TestBackfillPage runs the worked example of docs/backfill.md and holds its
// output to the page.
func TestBackfillPage(t *testing.T) {
	page, err := os.ReadFile(backfillPage)
	if err != nil {
		t.Fatal(err)
	}
	dir, command, want := t.TempDir(), "", ""
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		name, isFile := strings.CutPrefix(b[1], "file: ")
		switch {
		case isFile:
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b[2]), 0o600); err != nil {
				t.Fatal(err)
			}
		case b[1] == "command":
			command = b[2]
		default:
			want = b[2]
		}
	}
	if command == "" || want == "" {
		t.Fatal("the page has no example")
	}
	t.Chdir(dir)
	t.Setenv("CHARTPOST_S3_ENDPOINT", "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), strings.Fields(command)[1:], cli.Streams{Out: &out, Err: &errs}); code != cli.ExitUsage {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if strings.Contains(out.String()+errs.String(), "Sample") || strings.Contains(out.String()+errs.String(), "1980") {
		t.Errorf("the plan shows a value:\n%s", &out)
	}
	if out.String() != want {
		t.Errorf("the page says\n%s\nand the command\n%s", want, &out)
	}
}

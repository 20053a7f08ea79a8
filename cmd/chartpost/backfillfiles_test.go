package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/cli"
)

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBadInput: files that are wrong are exit code 2, and no text has a name.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var rows bytes.Buffer
	rows.WriteString("id,key\n")
	for i := range 20_000 {
		fmt.Fprintf(&rows, "%d,%x\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	gz := zipped(t, rows.Bytes())
	template, there := file("template.yaml", []byte(killedTemplate)), file("Zebedee.csv", []byte("id,key\n"))
	report := []string{"backfill", "report", "y2019", there, "--template", template, "--nats-url", "nats://127.0.0.1:1", "--out"}
	for want, args := range map[string][]string{
		"the manifest is gzip and its end is missing or broken": {"backfill", "plan", file("torn.gz", gz[:len(gz)/2]), "--template", template, "--quick"},
		"argument 4 is one too many; a name with blanks needs":  {"backfill", "plan", "Ivan", "Zebedee.csv"},
		"did you mean \"lane\"?":                                {"lnae"},
		"--out: file already exists; see --force":               append(report, file("report.csv", nil)),
		"--out: is the manifest or the template":                append(report, there, "--force"),
		"--out: is the manifest or the template ":               append(report, template, "--force"),
	} {
		var out, errs bytes.Buffer
		std := cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}
		code := run(t.Context(), args, std)
		if said := out.String() + errs.String(); code != cli.ExitUsage || !strings.Contains(said, strings.TrimSpace(want)) || strings.Contains(said, "Zebedee") {
			t.Errorf("%v: exit code %d\n%s", args, code, said)
		}
	}
}

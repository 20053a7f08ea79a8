package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/manifest"
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

// TestReadFailed reads reports as backfill report writes them, plain and gzip, and
// refuses what is cut off or followed by something else: lines that are passed
// over would not be run again.
func TestReadFailed(t *testing.T) {
	rows := []backfill.Row{
		{Line: 2, JobID: "a", Outcome: backfill.OutcomeAccepted},
		{Line: 3, JobID: "b", Outcome: backfill.OutcomeFailed, Reason: "file_missing"},
		{Line: 7, JobID: "c", Outcome: backfill.OutcomeFailed},
	}
	rows[1].SHA256 = []string{"x", "y"}
	written := map[string][]byte{}
	for _, format := range []string{"csv", "ndjson"} {
		var out bytes.Buffer
		each, end := (&reportCmd{OutFormat: format}).rows(&out)
		for _, row := range rows {
			if err := each(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		written[format] = out.Bytes()
		written[format+".gz"] = zipped(t, out.Bytes())
	}
	name := filepath.Join(t.TempDir(), "report")
	read := func(data []byte) (*backfill.Only, *backfill.Source, error) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return readFailed(name)
	}
	for format, data := range written {
		only, source, err := read(data)
		if err != nil || only.Len() != 2 {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if sum := sha256.Sum256(data); source.SHA256 != hex.EncodeToString(sum[:]) || source.Size != int64(len(data)) {
			t.Errorf("%s: %+v", format, source)
		}
	}
	ndjson := string(written["ndjson"])
	for what, data := range map[string]string{
		"torn":             ndjson[:len(ndjson)-9],
		"more behind it":   ndjson + "Zebedee\n",
		"an array behind":  ndjson + "]\n",
		"no outcome":       ndjson + `{"line":8,"job_id":"d"}` + "\n",
		"no line":          ndjson + `{"job_id":"d","outcome":"failed"}` + "\n",
		"a torn gzip":      string(written["ndjson.gz"][:len(written["ndjson.gz"])-9]),
		"a torn csv.gz":    string(written["csv.gz"][:len(written["csv.gz"])-9]),
		"another table":    "a,b\nZebedee,1\n",
		"a torn csv":       string(written["csv"]) + "9,d\n",
		"nothing":          "",
		"none that failed": `{"line":2,"job_id":"a","outcome":"accepted"}` + "\n",
	} {
		if only, _, err := read([]byte(data)); err == nil || strings.Contains(err.Error(), "Zebedee") {
			t.Errorf("%s: %v, %v", what, only, err)
		}
	}
}

// TestHidePath: an error says of which file it is, and not its name.
func TestHidePath(t *testing.T) {
	of := func(path string) error { return &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC} }
	flags := &manifestFlags{Manifest: "archive/Zebedee.csv"}
	const noSpace = "no space left on device"
	for _, c := range []struct {
		err  error
		want string
	}{
		{of(flags.Manifest), "the manifest: " + noSpace},
		{fmt.Errorf("line 7: %w", of(flags.Manifest)), "the manifest: line 7: " + noSpace},
		{fmt.Errorf("reading the manifest: %w", of(flags.Manifest)), "reading the manifest: " + noSpace},
		{fmt.Errorf("a temporary file for the job ids: %w", of(filepath.Join(os.TempDir(), "Zebedee"))), "a temporary file for the job ids: " + noSpace + " (TMPDIR)"},
		{fmt.Errorf("writing: %w", of("/elsewhere/Zebedee")), "writing: " + noSpace},
		{errors.New("as it is"), "as it is"},
	} {
		err := flags.hidePath(c.err)
		if err.Error() != c.want || c.want != "as it is" && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := (outFile{full{}}).Write([]byte("x")); err == nil || err.Error() != "--out: "+noSpace {
		t.Error(err)
	}
	moved := &os.LinkError{Op: "rename", Old: "Zebedee", New: "Zebedee", Err: syscall.EXDEV}
	if err := cause(moved); err != syscall.EXDEV {
		t.Error(err)
	}
	if f, ok := errors.AsType[*failure](flags.unreadable(fmt.Errorf("line 7: %w", manifest.ErrGzip))); !ok || f.code != exitUsage {
		t.Error(f)
	}
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
		std := streams{in: strings.NewReader(""), out: &out, err: &errs}
		code := run(t.Context(), args, std)
		if said := out.String() + errs.String(); code != exitUsage || !strings.Contains(said, strings.TrimSpace(want)) || strings.Contains(said, "Zebedee") {
			t.Errorf("%v: exit code %d\n%s", args, code, said)
		}
	}
}

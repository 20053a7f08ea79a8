package report

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/backfill"
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
		each, end := Rows(&out, format == "ndjson")
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
		return Failed(name)
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

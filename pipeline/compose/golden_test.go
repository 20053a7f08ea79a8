package compose_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenRoot = "../../testdata/golden"

// goldenFile is one row of files.json: an attachment and its bytes.
type goldenFile struct {
	ContentType string `json:"content_type"`
	Title       string `json:"title"`
	Size        int64  `json:"size"`
	SHA1        string `json:"sha1"`
	URL         string `json:"url"`
	Text        string `json:"text"`
}

type goldenCase struct {
	dir   string
	job   schemas.Job
	files []goldenFile
}

// goldenCases reads all cases of an operation and fails when there are none.
func goldenCases(t testing.TB, operation string) []goldenCase {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(goldenRoot, operation, "*", "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		t.Fatalf("operation %s has no golden cases in %s", operation, goldenRoot)
	}
	var cases []goldenCase
	for _, f := range dirs {
		c := goldenCase{dir: filepath.Dir(f)}
		readJSON(t, f, &c.job)
		readJSON(t, filepath.Join(c.dir, "files.json"), &c.files)
		if c.job.Operation != operation {
			t.Fatalf("%s: the job's operation is %s", f, c.job.Operation)
		}
		cases = append(cases, c)
	}
	return cases
}

func readJSON(t testing.TB, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func (c goldenCase) attachments(t testing.TB, uploaded bool) []compose.Attachment {
	t.Helper()
	var list []compose.Attachment
	for i, f := range c.files {
		a := compose.Attachment{ContentType: f.ContentType, Title: f.Title, Size: f.Size}
		if f.Size != int64(len(f.Text)) {
			t.Fatalf("%s: file %d has %d bytes, files.json says %d", c.dir, i, len(f.Text), f.Size)
		}
		if f.SHA1 != "" {
			sum := sha1.Sum([]byte(f.Text))
			if f.SHA1 != hex.EncodeToString(sum[:]) {
				t.Fatalf("%s: the sha1 of file %d is %x", c.dir, i, sum)
			}
			a.SHA1 = sum[:]
		}
		if uploaded {
			a.URL = f.URL
		}
		list = append(list, a)
	}
	return list
}

func (c goldenCase) open(_ context.Context, i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(c.files[i].Text)), nil
}

func TestGolden(t *testing.T) {
	operations := compose.Operations()
	if len(operations) == 0 {
		t.Fatal("the table of operations is empty")
	}
	for _, op := range operations {
		for _, c := range goldenCases(t, op.Name) {
			for name, uploaded := range map[string]bool{"upload.json": true, "embed.json": false} {
				t.Run(op.Name+"/"+filepath.Base(c.dir)+"/"+name, func(t *testing.T) {
					checkGolden(t, op, c, filepath.Join(c.dir, name), uploaded)
				})
			}
		}
	}
}

// checkGolden compares the bytes of a message. The files are indented for
// their readers; nothing else differs, since the message itself is compact.
func checkGolden(t *testing.T, op compose.Operation, c goldenCase, file string, uploaded bool) {
	m := mustCompose(t, c.job, c.attachments(t, uploaded))
	if m.ContentType != op.ContentType || m.Path != op.Path {
		t.Errorf("the message is for %s as %s, want %s as %s", m.Path, m.ContentType, op.Path, op.ContentType)
	}
	got := readBody(t, m, c.open)
	compact := jsontext.Value(bytes.Clone(got))
	if err := compact.Compact(jsontext.PreserveRawStrings(true)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(compact, got) {
		t.Error("the message holds whitespace between tokens")
	}
	shown := jsontext.Value(bytes.Clone(got))
	if err := shown.Indent(jsontext.PreserveRawStrings(true), jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	shown = append(shown, '\n')
	if *update {
		if err := os.WriteFile(file, shown, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown, want) {
		t.Errorf("%s differs; got:\n%s", file, shown)
	}
}

// TestGoldenBelongs fails on golden files that no row of the table uses.
func TestGoldenBelongs(t *testing.T) {
	dirs, err := os.ReadDir(goldenRoot)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, d := range dirs {
		if _, ok := compose.Lookup(d.Name()); !ok {
			t.Errorf("golden files for %s, which is no operation", d.Name())
		}
	}
	for _, op := range compose.Operations() {
		for _, c := range goldenCases(t, op.Name) {
			entries, err := os.ReadDir(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if want := []string{"embed.json", "files.json", "job.json", "upload.json"}; !slices.Equal(names, want) {
				t.Errorf("%s holds %v, want %v", c.dir, names, want)
			}
		}
	}
}

// TestGoldenEmbedsTheBytes looks at the messages with eyes of its own: what
// stands in data is the file, and upload and embed differ in nothing else.
func TestGoldenEmbedsTheBytes(t *testing.T) {
	for _, c := range goldenCases(t, "documentreference-create") {
		raw := readBody(t, mustCompose(t, c.job, c.attachments(t, false)), c.open)
		var m struct {
			Entry []struct {
				Resource struct {
					ResourceType string
					Content      []struct {
						Attachment struct {
							Data, URL, ContentType string
							Size                   int64
						}
					}
				}
			}
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		content := m.Entry[2].Resource.Content
		if len(content) != len(c.files) {
			t.Fatalf("%s: %d content elements for %d files", c.dir, len(content), len(c.files))
		}
		for i, e := range content {
			data, err := base64.StdEncoding.DecodeString(e.Attachment.Data)
			if err != nil || string(data) != c.files[i].Text || e.Attachment.URL != "" || e.Attachment.Size != int64(len(data)) {
				t.Errorf("%s: content %d does not carry its file", c.dir, i)
			}
			if e.Attachment.ContentType == "" {
				t.Errorf("%s: content %d has no contentType", c.dir, i)
			}
		}
	}
}

func mustCompose(t testing.TB, job schemas.Job, files []compose.Attachment) *compose.Message {
	t.Helper()
	if err := compose.Check(job); err != nil {
		t.Fatal(err)
	}
	m, err := compose.Compose(job, files)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// readBody streams a message and checks that it has the size it was said to.
func readBody(t testing.TB, m *compose.Message, open compose.Opener) []byte {
	t.Helper()
	r := compose.Body(context.Background(), m, open)
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(got)) != m.Size() {
		t.Fatalf("the stream has %d bytes, Size says %d", len(got), m.Size())
	}
	return got
}

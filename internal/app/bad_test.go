package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// badCase is a folder of testdata/bad or testdata/bad/good-but-odd: see the
// README.md there.
type badCase struct {
	name string
	// dir holds the case's files, raw the job's bytes as they are published.
	dir string
	raw []byte
	// job is as much of raw as is one.
	job  schemas.Job
	want badWant
}

// badWant is a want.json.
type badWant struct {
	Status schemas.Status `json:"status"`
	Why    string         `json:"why"`
	// The fields of a job that must fail.
	Code    string  `json:"code"`
	Path    *string `json:"path"`
	NoEvent bool    `json:"no_event"`
	Lane    string  `json:"lane"`
	PadTo   int     `json:"pad_to"`
	// The fields of a job that must arrive.
	Title     string   `json:"title"`
	FileName  string   `json:"file_name"`
	Passes    []string `json:"passes"`
	PassesRaw string   `json:"passes_raw"`
}

var badDir = filepath.Join("..", "..", "testdata", "bad")

// TestBadJobs publishes every job of testdata/bad to one worker: each must end
// with its own code and a dead letter that holds it byte for byte, nothing of
// it may reach Redox, and the worker must still deliver what is good.
func TestBadJobs(t *testing.T) {
	t.Parallel()
	bad, odd := badCases(t, badDir, 100), badCases(t, filepath.Join(badDir, "good-but-odd"), 15)
	w := newWorld(t, "")
	w.settings.S3.Buckets = []string{testBucket + "/bad/", "no-such-bucket"}
	w.store("bad/good.pdf", filepath.Join(badDir, "good.pdf"))
	for _, c := range slices.Concat(bad, odd) {
		w.storeFile(c)
	}
	w.worker()

	for _, c := range bad {
		w.publishRaw(schemas.JobSubject("chartpost", schemas.Lane{Class: schemas.Live, Destination: c.lane()}), c.raw)
	}
	for _, c := range bad {
		if !c.want.NoEvent {
			w.final(c.name)
		}
	}
	w.drained()
	letters := w.dead()
	for _, c := range bad {
		w.checkFailed(c, letters)
	}
	if len(letters) != len(bad) {
		t.Errorf("%d dead letters for %d bad jobs", len(letters), len(bad))
	}
	if events, _ := w.events.of(""); len(events) != 0 {
		t.Errorf("%d events name no job", len(events))
	}
	if messages, uploads := len(w.sim.Messages()), len(w.sim.Uploads()); messages+uploads != 0 {
		t.Errorf("%d messages and %d uploads of bad jobs reached Redox", messages, uploads)
	}

	for i, c := range odd {
		w.publishRaw(schemas.JobSubject("chartpost", schemas.Lane{Class: schemas.Live, Destination: c.lane()}), c.raw)
		w.checkArrived(c, i)
	}
	w.drained()
	if n := len(w.dead()); n != len(bad) {
		t.Errorf("%d dead letters for %d bad jobs once the odd ones were delivered", n, len(bad))
	}
	// The names, keys, titles and documents of all cases hold the canary.
	w.search(t)
}

// badCases reads the cases of a folder, of which there must be at least least.
func badCases(t *testing.T, dir string, least int) []badCase {
	t.Helper()
	wants, err := filepath.Glob(filepath.Join(dir, "*", "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && f.Name() != "good-but-odd" && !slices.Contains(wants, filepath.Join(dir, f.Name(), "want.json")) {
			t.Errorf("%s has no want.json", filepath.Join(dir, f.Name()))
		}
	}
	if len(wants) < least {
		t.Fatalf("%s holds %d cases, there were at least %d", dir, len(wants), least)
	}
	var cases []badCase
	for _, file := range wants {
		cases = append(cases, badCaseOf(t, filepath.Dir(file)))
	}
	return cases
}

func badCaseOf(t *testing.T, dir string) badCase {
	t.Helper()
	c := badCase{name: filepath.Base(dir), dir: dir}
	data, err := os.ReadFile(filepath.Join(dir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c.want); err != nil {
		t.Fatalf("%s: want.json: %v", c.name, err)
	}
	if c.raw, err = os.ReadFile(filepath.Join(dir, "job.json")); errors.Is(err, fs.ErrNotExist) {
		c.raw, err = os.ReadFile(filepath.Join(dir, "job.raw"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.want.PadTo > len(c.raw) {
		c.raw = append(c.raw, bytes.Repeat([]byte(" "), c.want.PadTo-len(c.raw))...)
	}
	_ = json.Unmarshal(c.raw, &c.job)
	failed := c.want.Status == schemas.StatusFailed && c.want.Code != "" && c.want.Path != nil
	arrives := c.want.Status == schemas.StatusAccepted && c.want.Title != "" && c.job.ID == c.name
	if c.want.Why == "" || !failed && !arrives {
		t.Fatalf("%s: want.json lacks why, or what a case of its status must say", c.name)
	}
	return c
}

// lane is the destination whose subject the job is published to: its own,
// unless the case says otherwise or the job has none.
func (c badCase) lane() string {
	switch address := c.job.Destination.Address(); {
	case c.want.Lane != "":
		return c.want.Lane
	case address != "":
		return address
	}
	return "good-health"
}

// storeFile puts the case's file where its job says: the last of its files.
func (w *world) storeFile(c badCase) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(c.dir, "file.*"))
	if err != nil || len(found) > 1 || (len(found) == 1 && len(c.job.Files) == 0) {
		w.t.Fatalf("%s: it has %d files, its job names %d: %v", c.name, len(found), len(c.job.Files), err)
	}
	if len(found) == 1 {
		w.store(c.job.Files[len(c.job.Files)-1].Key, found[0])
	}
}

func (w *world) store(key, path string) {
	w.t.Helper()
	data := w.read(path)
	_, err := w.source.Put(w.t.Context(), s3source.Upload{
		Bucket: testBucket, Key: key, ContentType: "binary/octet-stream", Body: bytes.NewReader(data), Size: int64(len(data)),
	})
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
}

func (w *world) checkFailed(c badCase, letters []*nats.Msg) {
	w.t.Helper()
	i := slices.IndexFunc(letters, func(l *nats.Msg) bool { return bytes.Equal(l.Data, c.raw) })
	if i < 0 {
		w.t.Errorf("%s: no dead letter holds the job as it came", c.name)
		return
	}
	h := letters[i].Header
	if code, path := h.Get(natsq.HeaderReasonCode), h.Get(natsq.HeaderReasonPath); code != c.want.Code || path != *c.want.Path {
		w.t.Errorf("%s: the dead letter says %s at %q (%s), want %s at %q", c.name, code, path, h.Get(natsq.HeaderReasonText), c.want.Code, *c.want.Path)
	}
	if c.want.NoEvent {
		if id := h.Get(natsq.HeaderJobID); id != "" {
			w.t.Errorf("%s: the dead letter says it is job %s, whose id nobody can know", c.name, id)
		}
		return
	}
	event := w.final(c.name)
	if r := event.Data.Reason; event.Data.Status != c.want.Status || r == nil || r.Code != c.want.Code || r.Path != *c.want.Path {
		w.t.Errorf("%s: %s %+v, want %s %s at %q", c.name, event.Data.Status, r, c.want.Status, c.want.Code, *c.want.Path)
	}
	tries := "1/failed"
	if c.want.Code == "bucket_missing" {
		tries = "1/retrying 2/retrying 3/failed" // it may be the worker's own fault
	}
	if got := w.statuses(c.name); got != tries || h.Get(natsq.HeaderJobID) != c.name {
		w.t.Errorf("%s: events %q and a dead letter of job %q, want %q of this one", c.name, got, h.Get(natsq.HeaderJobID), tries)
	}
}

// checkArrived compares what Redox has, as its message number i from 0, with
// what must arrive.
func (w *world) checkArrived(c badCase, i int) {
	w.t.Helper()
	event := w.final(c.name)
	if event.Data.Status != schemas.StatusAccepted {
		w.t.Fatalf("%s: %s %+v, want accepted", c.name, event.Data.Status, event.Data.Reason)
	}
	if len(c.job.Correlation) > 0 && !maps.Equal(event.Data.Correlation, c.job.Correlation) {
		w.t.Errorf("%s: the labels came back as %q", c.name, event.Data.Correlation)
	}
	messages := w.sim.Messages()
	if len(messages) != i+1 || len(messages[i].Files) != 1 {
		w.t.Fatalf("%s: Redox took %d messages, want %d of one file", c.name, len(messages), i+1)
	}
	m := messages[i]
	file, stored := m.Files[0], w.read(filepath.Join(c.dir, "file.pdf"))
	if file.SHA256 != sha(stored) || file.Title != c.want.Title {
		w.t.Errorf("%s: the chart shows %q of %d bytes, want %q of the %d in the store", c.name, file.Title, file.Size, c.want.Title, len(stored))
	}
	if file.How == redoxsim.Uploaded {
		w.checkUpload(c, file)
	}
	body, err := m.Body.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	said := stringsOf(w.t, body)
	for _, s := range c.want.Passes {
		if !slices.Contains(said, s) {
			w.t.Errorf("%s: the message does not hold %q as a string", c.name, s)
		}
	}
	if !bytes.Contains(body, []byte(c.want.PassesRaw)) {
		w.t.Errorf("%s: the message does not hold %s", c.name, c.want.PassesRaw)
	}
}

// checkUpload looks at the file name in the head of an upload, where it is
// percent-encoded (RFC 7578, section 4.2).
func (w *world) checkUpload(c badCase, file redoxsim.File) {
	w.t.Helper()
	uploads := w.sim.Uploads()
	i := slices.IndexFunc(uploads, func(u redoxsim.Upload) bool { return u.URL == file.URL })
	if i < 0 {
		w.t.Errorf("%s: the message names no upload", c.name)
		return
	}
	wire := uploads[i].FileName
	if strings.ContainsFunc(wire, func(r rune) bool { return r < ' ' || r > '~' }) {
		w.t.Errorf("%s: the head of the upload holds %q unencoded", c.name, wire)
	}
	if name, err := url.PathUnescape(wire); c.want.FileName != "" && (err != nil || name != c.want.FileName) {
		w.t.Errorf("%s: the upload's name is %q, want %q", c.name, name, c.want.FileName)
	}
}

func (w *world) read(path string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// stringsOf gives every string value of a JSON document.
func stringsOf(t testing.TB, doc []byte) (all []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal("the message is no JSON")
		}
		if s, ok := token.(string); ok {
			all = append(all, s)
		}
	}
}

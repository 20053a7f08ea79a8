package redoxsim

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
)

// dataModel is a good message of the bench's source.
func (b *bench) dataModel(model, event, rest string) string {
	return fmt.Sprintf(`{"Meta":{"DataModel":%q,"EventType":%q,"EventDateTime":"2026-11-20T10:00:00.000Z","Test":true,"Source":{"ID":%q},"Destinations":[{"ID":"dest-1","Name":"n"},{"ID":"dest-2"}]},
"Patient":{"Identifiers":[{"ID":"1","IDType":"MR"}]},%s}`, model, event, b.cred.Client.Sources[0], rest)
}

const (
	noteBody  = `"Note":{"ContentType":"Base64 Encoded","DocumentType":"t","DocumentID":"d1","OriginalDocumentID":"d0","Provider":{"ID":"p"},"FileName":"a.pdf","FileContents":"JVBERi0xLjQK"}`
	mediaBody = `"Media":{"FileType":"PDF","FileName":"a.pdf","FileContents":"JVBERi0xLjQK","DocumentType":"t","DocumentID":"d1","OriginalDocumentID":"d0","Provider":{"ID":"p"},"Availability":"Available"}`
	orderBody = `"Orders":[{"ID":"d1","ApplicationOrderID":"d1","Status":"Resulted","Results":[{"Code":"c","Value":"JVBERi0xLjQK","ValueType":"Encapsulated Data","FileType":"PDF","Status":"Final"},{"Code":"c","Value":"1","ValueType":"Numeric","Status":"Final"}]}]`
)

var models = []struct{ model, event, operation, body string }{
	{"Notes", "New", "notes-new", noteBody}, {"Notes", "Replace", "notes-replace", noteBody},
	{"Media", "New", "media-new", mediaBody}, {"Media", "Replace", "media-replace", mediaBody},
	{"Results", "New", "results-new", orderBody}, {"Results", "NewUnsolicited", "results-newunsolicited", orderBody},
}

func TestDataModelMessages(t *testing.T) {
	if len(models) != len(dataModels) {
		t.Fatal("a message has no case")
	}
	b := newBench(t)
	for i, c := range models {
		got := b.post("/endpoint", "application/json", []byte(b.dataModel(c.model, c.event, c.body)))
		if got.status != 200 || bytes.Count(got.body, []byte(`"AttemptID"`)) != 2 {
			t.Fatalf("%s: %d %s", c.operation, got.status, got.body)
		}
		m := b.sim.Messages()[i]
		if m.Operation != c.operation || m.DocumentID != "d1" || m.Destination != "dest-1" || len(m.Destinations) != 2 || len(m.Receipt.LogIDs) != 2 || len(m.Files) != 1 {
			t.Errorf("message %+v", m)
		}
		if data, err := m.Files[0].Bytes(); err != nil || string(data) != "%PDF-1.4\n" {
			t.Errorf("%s: file %q %v", c.operation, data, err)
		}
	}
}

func TestRefusedDataModel(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Destinations = []string{"dest-1", "dest-2"} })
	note, replace := b.dataModel("Notes", "New", noteBody), b.dataModel("Notes", "Replace", noteBody)
	media, results := b.dataModel("Media", "New", mediaBody), b.dataModel("Results", "New", orderBody)
	unsolicited := b.dataModel("Results", "NewUnsolicited", orderBody)
	at := func(good string, pairs ...string) string { return edit(t, good, pairs...) }
	without := func(good string, name, value string) string { return edit(t, good, `"`+name+`":`+value, `"X":1`) }
	cases := map[string]struct {
		rule, body string
		status     int
	}{
		"not JSON":              {"json", "{", 400},
		"repeated name":         {"json", at(note, `"Test":true`, `"Test":true,"Test":true`), 400},
		"no model":              {"required at /Meta/DataModel", without(note, "DataModel", `"Notes"`), 403},
		"other event":           {"data-model-and-event-type", at(note, `"New"`, `"Delete"`), 403},
		"time of day missing":   {"event-date-time-utc", at(note, `2026-11-20T10:00:00.000Z`, `2026-11-20`), 400},
		"time not UTC":          {"event-date-time-utc", at(note, `10:00:00.000Z`, `10:00:00+01:00`), 400},
		"test a string":         {"boolean", at(note, `"Test":true`, `"Test":"true"`), 400},
		"no source":             {"source-uuid", without(note, "Source", `{"ID":"`+b.cred.Client.Sources[0]+`"}`), 400},
		"source of another":     {"source-of-another-client", at(note, b.cred.Client.Sources[0], "00000000-0000-4000-8000-000000000001"), 403},
		"no destination":        {"destination-required", at(note, `{"ID":"dest-1","Name":"n"},{"ID":"dest-2"}`, ``), 400},
		"destination no id":     {"required at /Meta/Destinations/1/ID", at(note, `{"ID":"dest-2"}`, `{"Name":"x"}`), 400},
		"destination unknown":   {"destination-unknown", at(note, `dest-2`, `dest-3`), 404},
		"no patient":            {"required at /Patient/Identifiers", without(note, "Patient", `{"Identifiers":[{"ID":"1","IDType":"MR"}]}`), 400},
		"patient no id":         {"required at /Patient/Identifiers/0/ID", at(note, `"ID":"1",`, ``), 400},
		"patient no id type":    {"required at /Patient/Identifiers/0/IDType", at(note, `,"IDType":"MR"`, ``), 400},
		"note content type":     {"note-content-type", at(note, `Base64 Encoded`, `PDF`), 400},
		"note document type":    {"required at /Note/DocumentType", without(note, "DocumentType", `"t"`), 400},
		"note document id":      {"required at /Note/DocumentID", at(note, `"DocumentID":"d1"`, `"DocumentID":" "`), 400},
		"note provider":         {"required at /Note/Provider/ID", at(note, `{"ID":"p"}`, `{}`), 400},
		"note no file":          {"required at /Note/FileContents", without(note, "FileContents", `"JVBERi0xLjQK"`), 400},
		"note no base64":        {"file-base64", at(note, "JVBERi0xLjQK", "hello"), 400},
		"note text nowhere":     {"required at /Note/FileContents", at(note, `Base64 Encoded`, `Plain Text`, `"FileContents":"JVBERi0xLjQK"`, `"X":1`), 400},
		"note foreign URI":      {"file-url-foreign", at(note, "JVBERi0xLjQK", "https://files.example/1"), 400},
		"note URI not issued":   {"file-url-not-issued", at(note, "JVBERi0xLjQK", DefaultBlobBase+"/1"), 400},
		"note URI of http":      {"file-url-https", at(note, "JVBERi0xLjQK", "http://blob.simulator.invalid/1"), 400},
		"replace no original":   {"required at /Note/OriginalDocumentID", without(replace, "OriginalDocumentID", `"d0"`), 400},
		"replace same id":       {"document-id-new", at(replace, `"d0"`, `"d1"`), 400},
		"media availability":    {"media-availability", at(media, `"Available"`, `"yes"`), 400},
		"media file type":       {"required at /Media/FileType", without(media, "FileType", `"PDF"`), 400},
		"media file name":       {"required at /Media/FileName", without(media, "FileName", `"a.pdf"`), 400},
		"media file":            {"required at /Media/FileContents", without(media, "FileContents", `"JVBERi0xLjQK"`), 400},
		"media no base64":       {"file-base64", at(media, "JVBERi0xLjQK", strings.Repeat("hello!", 5000)), 400},
		"no orders":             {"required at /Orders", b.dataModel("Results", "New", `"Orders":[]`), 400},
		"order id":              {"required at /Orders/0/ID", at(results, `"ID":"d1"`, `"X":"d1"`), 400},
		"application order id":  {"required at /Orders/0/ApplicationOrderID", at(unsolicited, `"ApplicationOrderID":"d1"`, `"X":1`), 400},
		"order status":          {"required at /Orders/0/Status", at(results, `"Status":"Resulted"`, `"X":1`), 400},
		"order results":         {"required at /Orders/0/Results", b.dataModel("Results", "New", `"Orders":[{"ID":"1","Status":"s"}]`), 400},
		"result code":           {"required at /Orders/0/Results/0/Code", at(results, `"Code":"c"`, `"X":1`), 400},
		"result value a number": {"required at /Orders/0/Results/1/Value", at(results, `"Value":"1"`, `"Value":1`), 400},
		"result value type":     {"result-value-type", at(results, `Encapsulated Data`, `PDF`), 400},
		"result status":         {"required at /Orders/0/Results/0/Status", at(results, `"Status":"Final"`, `"X":1`), 400},
		"result no base64":      {"file-base64", at(results, "JVBERi0xLjQK", "a b"), 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			got := b.post("/endpoint", "application/json", []byte(c.body))
			if got.status != c.status || !bytes.Contains(got.body, []byte(`"Errors":[`)) || !bytes.Contains(got.body, []byte(c.rule)) {
				t.Errorf("%d %s, want %d %s", got.status, got.body, c.status, c.rule)
			}
		})
	}
	if n := len(b.sim.Messages()); n != 0 {
		t.Errorf("%d refused messages were kept", n)
	}
}

// part builds a multipart body of one part.
func part(t *testing.T, field, fileName, contentType string, data []byte) (string, []byte) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	head := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, field)}}
	if fileName != "" {
		head.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, field, fileName))
	}
	if contentType != "" {
		head.Set("Content-Type", contentType)
	}
	p, err := w.CreatePart(head)
	if err == nil {
		_, err = p.Write(data)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body.Bytes()
}

func TestMultipartUpload(t *testing.T) {
	b := newBench(t, func(c *Config) { c.FileLimit = 100_000 })
	contentType, body := part(t, "file", "a.pdf", "application/pdf", bytes.Repeat([]byte("x"), 100_000))
	got := b.post("/upload", contentType, body)
	if got.status != 201 || got.header.Get("Location") != "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	u := b.sim.Uploads()[0]
	if u.FileName != "a.pdf" || u.ContentType != "application/pdf" || u.Body.Size != 100_000 || !bytes.Contains(got.body, []byte(`{"URI":"`+u.URL+`"}`)) {
		t.Errorf("upload %+v, answer %s", u, got.body)
	}
	for _, c := range models {
		message := edit(t, b.dataModel(c.model, c.event, c.body), "JVBERi0xLjQK", u.URL)
		if got := b.post("/endpoint", "application/json", []byte(message)); got.status != 200 {
			t.Errorf("%s: %d %s", c.operation, got.status, got.body)
		}
	}
	if n := len(b.sim.Uploads()[0].Named); n != len(models) {
		t.Errorf("named by %d messages", n)
	}
	plain := edit(t, b.dataModel("Notes", "New", noteBody), "Base64 Encoded", "Plain Text", "JVBERi0xLjQK", strings.Repeat("wörds ", 2000))
	if got := b.post("/endpoint", "application/json", []byte(plain)); got.status != 200 {
		t.Fatalf("plain text: %d %s", got.status, got.body)
	}
	if f := b.sim.Messages()[len(models)].Files[0]; f.How != Text || f.Size != 14000 {
		t.Errorf("plain text: %+v", f)
	}
}

func TestRefusedMultipart(t *testing.T) {
	b := newBench(t, func(c *Config) { c.FileLimit = 1000 })
	cases := map[string]struct {
		field, name, kind string
		data              string
		spoil             func([]byte) []byte
		status            int
	}{
		"other field":    {"document", "a", "x/y", "x", nil, 400},
		"no file name":   {"file", "", "x/y", "x", nil, 400},
		"no part type":   {"file", "a", "", "x", nil, 400},
		"empty":          {"file", "a", "x/y", "", nil, 400},
		"too large":      {"file", "a", "x/y", strings.Repeat("x", 1001), nil, 413},
		"far too large":  {"file", "a", "x/y", strings.Repeat("x", 2<<20), nil, 413},
		"no closing":     {"file", "a", "x/y", "x", func(b []byte) []byte { return b[:len(b)-8] }, 400},
		"second part":    {"file", "a", "x/y", "x", func(b []byte) []byte { return append(bytes.TrimSuffix(b, []byte("--\r\n")), b...) }, 400},
		"nothing inside": {"file", "a", "x/y", "x", func([]byte) []byte { return []byte("x") }, 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			contentType, body := part(t, c.field, c.name, c.kind, []byte(c.data))
			if c.spoil != nil {
				body = c.spoil(body)
			}
			if got := b.post("/upload", contentType, body, "Expect", "100-continue"); got.status != c.status {
				t.Errorf("%d %s %v", got.status, got.body, got.err)
			}
		})
	}
	if got := b.post("/upload", "application/pdf", []byte("x")); got.status != 415 {
		t.Errorf("no multipart: %d", got.status)
	}
	if n := len(b.sim.Uploads()); n != 0 {
		t.Errorf("%d refused uploads were kept", n)
	}
}

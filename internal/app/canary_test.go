package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/stdlog"
	"github.com/chartpost/chartpost/schemas"
)

// canary is a word that stands for patient data. It is planted in every place a
// caller or Redox can put a value, and must be found in none of ours.
const canary = "KANARIENVOGEL"

// TestNoPatientDataAnywhere sends jobs with canaries in every field down every
// path (accepted, refused, retried, unknown, duplicate, poison) and searches all
// that Chartpost wrote: the log at debug level, the events, the headers of dead
// letters, the ledger, the schedules' headers, the metrics, the spans.
func TestNoPatientDataAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(log.LstdFlags) })
	stdlog.Take().Tell(w.log.Logger()) // as main does
	hostile := fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"%[1]s","diagnostics":"%[1]s","details":{"text":"%[1]s"}}]}`, canary)
	headers := map[string]string{"Redox-Trace-Id": canary + " " + canary, "Retry-After": canary, "Content-Type": "text/" + canary}
	file := w.put(canary+"-key.pdf", document(1000, "a"))
	file.Title = canary + " title.pdf"
	planted := func(j *schemas.Job) {
		j.Message = json.RawMessage(plant(canary))
	}
	w.settings.HTTP.Addr = "127.0.0.1:0"
	spans := w.collector()
	stop := w.worker()

	run := func(id string, faults []redoxsim.Fault, files []schemas.File, changes ...func(*schemas.Job)) schemas.Event {
		t.Helper()
		w.sim.ClearFaults()
		for _, f := range faults {
			f.Times, f.Header, f.Body = 1, headers, hostile
			w.inject(f)
		}
		w.publish(w.job(id, files, append([]func(*schemas.Job){planted}, changes...)...))
		return w.final(id)
	}
	files := []schemas.File{file}
	expect := func(event schemas.Event, want schemas.Status) {
		t.Helper()
		if event.Data.Status != want {
			t.Errorf("%s: %s %+v, want %s: the path was not taken", event.Data.JobID, event.Data.Status, event.Data.Reason, want)
		}
	}
	message, upload := redoxsim.Match{Kind: redoxsim.MessageRequest}, redoxsim.Match{Kind: redoxsim.UploadRequest}
	expect(run("accepted-embed", nil, files, transfer(schemas.Embed)), schemas.StatusAccepted)
	expect(run("accepted-upload", nil, files, transfer(schemas.Upload)), schemas.StatusAccepted)
	expect(run("refused", []redoxsim.Fault{{Match: message, Action: redoxsim.AnswerStatus, Status: 400}}, files), schemas.StatusFailed)
	expect(run("refused-inside", []redoxsim.Fault{{Match: message, Action: redoxsim.ErrorOutcome}}, files), schemas.StatusFailed)
	expect(run("upload-refused", []redoxsim.Fault{{Match: upload, Action: redoxsim.AnswerStatus, Status: 403}}, files, transfer(schemas.Upload)), schemas.StatusFailed)
	expect(run("upload-foreign", []redoxsim.Fault{{Match: upload, Action: redoxsim.ForeignLocation, URL: "https://" + canary + ".example/" + canary}}, files, transfer(schemas.Upload)), schemas.StatusFailed)
	expect(run("passing", []redoxsim.Fault{{Match: message, Action: redoxsim.AnswerStatus, Status: 503}}, files), schemas.StatusAccepted)
	expect(run("unreadable", []redoxsim.Fault{{Match: message, Action: redoxsim.AnswerUnreadable}}, files), schemas.StatusUnknown)
	expect(run("lost", []redoxsim.Fault{{Match: message, Action: redoxsim.CutAfterProcessing}}, files), schemas.StatusAccepted)
	expect(run("overlong", []redoxsim.Fault{{Match: message, Action: redoxsim.AnswerOverlong}}, files), schemas.StatusAccepted)
	expect(run("overlong-204", []redoxsim.Fault{{Match: message, Action: redoxsim.AnswerOverlong, Status: 204}}, files), schemas.StatusAccepted)
	expect(run("overlong-upload", []redoxsim.Fault{{Match: upload, Action: redoxsim.AnswerOverlong}}, files, transfer(schemas.Upload)), schemas.StatusAccepted)
	devtest.Until(t, "net/http tells of what came unasked", patienceOfTests, func() bool {
		return strings.Contains(w.log.String(), "a library wrote to the standard log")
	})
	named, stored := w.typed("named.txt", "text/plain"), w.typed("stored.txt", "text/"+canary)
	named.ContentType = "text/" + canary
	expect(run("type-of-the-job", nil, []schemas.File{named}), schemas.StatusAccepted)
	expect(run("type-of-the-store", nil, []schemas.File{stored}, transfer(schemas.Upload)), schemas.StatusAccepted)
	expect(run("type-of-the-message", nil, []schemas.File{stored}, func(j *schemas.Job) {
		j.Message = json.RawMessage(strings.Replace(string(j.Message), `"status":"current"`, `"status":"current","content":[{"attachment":{"contentType":"text/`+canary+`"}}]`, 1))
	}), schemas.StatusAccepted)
	expect(run("missing", nil, []schemas.File{{Bucket: testBucket, Key: canary + "/none.pdf"}}), schemas.StatusFailed)
	expect(run("no-bucket", nil, []schemas.File{{Bucket: strings.ToLower(canary), Key: canary}}), schemas.StatusFailed)
	expect(run("changed", nil, []schemas.File{{Bucket: testBucket, Key: file.Key, ETag: `"` + canary + `"`}}), schemas.StatusFailed)
	expect(run("broken-patient", nil, files, func(j *schemas.Job) {
		j.Message = json.RawMessage(strings.Replace(string(j.Message), `"birthDate"`, `"birth`+canary+`"`, 1))
	}), schemas.StatusFailed)
	expect(run("broken-reference", nil, files, func(j *schemas.Job) {
		j.Message = json.RawMessage(strings.Replace(string(j.Message), `"status":"current"`, `"status":"current","`+canary+`":[{"reference":"Group/`+canary+`"}]`, 1))
	}), schemas.StatusFailed)

	// Poison: wherever the job is broken, and with keys of the caller's own.
	for i, poison := range []string{
		`{"id":"poison-%d","` + canary + `":"` + canary + `"}`,
		`{"id":"poison-%d","operation":"` + canary + `"}`,
		`{"id":"poison-%d","correlation":{"` + canary + `":1}}`,
		`{"id":"poison-%d","files":[{"bucket":"` + canary + `","key":1,"` + canary + `":2}]}`,
		`{"id":"poison-%d","message":{"patient":{"name":"` + canary + `","name":"` + canary + `"}}}`,
		`{"id":"poison-%d","requested_at":"` + canary + `"}`,
		`{"id":"poison-%d"} ` + canary,
	} {
		w.publishRaw("chartpost.jobs.live.good-health", fmt.Appendf(nil, poison, i))
		expect(w.final(fmt.Sprintf("poison-%d", i)), schemas.StatusFailed)
	}
	w.publishRaw("chartpost.jobs.live.good-health", []byte(canary))
	w.publishTraced(w.job("traced", files, planted), canary)
	w.final("traced")
	w.drained()
	told := w.scrape().text
	// A worker that ends waits for its collector for 5 s only.
	devtest.Until(t, "the spans of the last job have come", patienceOfTests, func() bool { return len(spans.attempts("traced")) > 0 })
	stop()
	w.search(t)
	if spans.text() == "" || len(told) < 2000 {
		t.Error("there are no spans or no metrics to search")
	}
	for where, text := range map[string]string{"the metrics": told, "the spans": spans.text()} {
		if i := strings.Index(strings.ToUpper(text), canary); i >= 0 {
			t.Errorf("patient data in %s: …%s…", where, text[max(i-120, 0):min(i+40, len(text))])
		}
	}
}

// typed stores a text as of a type.
func (w *world) typed(key, contentType string) schemas.File {
	w.t.Helper()
	file, text := schemas.File{Bucket: testBucket, Key: w.t.Name() + "/" + key}, "a text\n"
	if _, err := w.source.Put(w.t.Context(), s3source.Upload{
		Bucket: file.Bucket, Key: file.Key, ContentType: contentType, Body: strings.NewReader(text), Size: int64(len(text)),
	}); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// plant is a message with the canary in every kind of value.
func plant(word string) string {
	return fmt.Sprintf(`{"patient":{"resourceType":"Patient","id":"%[1]s","identifier":[{"system":"urn:%[1]s","value":"%[1]s"}],`+
		`"name":[{"family":"%[1]s","given":["%[1]s"]}],"gender":"female","birthDate":"1970-01-01","address":[{"text":"%[1]s"}],"extension":[{"url":"http://%[1]s","valueString":"%[1]s"}]},`+
		`"resource":{"resourceType":"DocumentReference","status":"current","description":"%[1]s","identifier":[{"value":"%[1]s"}],"author":[{"reference":"Practitioner/%[1]s","display":"%[1]s"}]},`+
		`"entries":[{"resourceType":"Practitioner","id":"%[1]s","name":[{"family":"%[1]s"}]}]}`, word)
}

// search looks for the canary in everything that Chartpost wrote. Only the
// bodies of dead letters may hold it: they are the jobs as they came.
func (w *world) search(t *testing.T) {
	t.Helper()
	found := func(where, text string) {
		t.Helper()
		if i := strings.Index(strings.ToUpper(text), canary); i >= 0 {
			t.Errorf("patient data in %s: …%s…", where, text[max(i-120, 0):min(i+40, len(text))])
		}
	}
	log := w.log.String()
	if len(log) < 2000 {
		t.Errorf("the log has %d bytes: too little to prove anything", len(log))
	}
	found("the log", log)

	w.events.mu.Lock()
	events := w.events.all
	w.events.mu.Unlock()
	if len(events) < 20 {
		t.Errorf("only %d events", len(events))
	}
	for _, event := range events {
		data, err := event.Encode()
		if err != nil {
			t.Fatal(err)
		}
		found("an event", string(data))
	}
	letters := w.dead()
	if len(letters) < 10 {
		t.Errorf("only %d dead letters", len(letters))
	}
	for _, letter := range letters {
		found("a dead letter's headers", fmt.Sprint(letter.Subject, letter.Header))
	}
	entries := 0
	bucket, err := w.js.KeyValue(t.Context(), "CHARTPOST_LEDGER")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bucket.Keys(t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		t.Fatal(err)
	}
	for _, key := range keys {
		entry, err := bucket.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		entries++
		found("the ledger", key+string(entry.Value()))
	}
	if entries < 15 {
		t.Errorf("only %d ledger entries", entries)
	}
}

package app

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// TestRefusedFiles: each file that cannot be delivered ends as failed with its
// own code and a dead letter, and nothing reaches Redox.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.settings.Delivery.FileLimit = 1_000_000
	empty, huge := w.put("empty.pdf", nil), w.put("huge.pdf", document(1_000_001, "huge"))
	good, changed := w.put("good.pdf", document(1000, "good")), w.put("changed.pdf", document(1000, "before"))
	changed.ETag = `"00000000000000000000000000000000"`
	wrongSum := good
	wrongSum.SHA256 = strings.Repeat("0", 64)
	missing := schemas.File{Bucket: testBucket, Key: t.Name() + "/no-such-key.pdf"}
	elsewhere := schemas.File{Bucket: "no-such-bucket", Key: "a.pdf"}
	w.worker()
	cases := []struct {
		id, code string
		path     string
		files    []schemas.File
	}{
		{"empty", "file_empty", "/files/0", []schemas.File{empty}},
		{"too-large", "file_too_large", "/files/0", []schemas.File{huge}},
		{"missing", "file_missing", "/files/0", []schemas.File{missing}},
		{"second-missing", "file_missing", "/files/1", []schemas.File{good, missing}},
		{"no-bucket", "bucket_missing", "/files/0", []schemas.File{elsewhere}},
		{"changed", "file_changed", "/files/0", []schemas.File{changed}},
		{"wrong-sum", "file_hash_mismatch", "/files/0", []schemas.File{wrongSum}},
	}
	for _, c := range cases {
		for _, how := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			id := c.id + "-" + string(how)
			w.publish(w.job(id, c.files, transfer(how)))
			event := w.final(id)
			if event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != c.code || event.Data.Reason.Path != c.path {
				t.Errorf("%s: %s %+v, want failed %s at %s", id, event.Data.Status, event.Data.Reason, c.code, c.path)
			}
		}
	}
	w.drained()
	letters := w.dead()
	if len(letters) != 2*len(cases) {
		t.Errorf("%d dead letters, want %d", len(letters), 2*len(cases))
	}
	for _, letter := range letters {
		var job schemas.Job
		if err := json.Unmarshal(letter.Data, &job); err != nil || job.ID != letter.Header.Get("Chartpost-Job-Id") || letter.Header.Get("Chartpost-Reason-Code") == "" {
			t.Errorf("a dead letter does not hold its job and reason: %v %v", letter.Header, err)
		}
	}
	if n := len(w.sim.Messages()); n != 0 {
		t.Errorf("%d messages reached Redox", n)
	}
}

// TestForbiddenFile uses an account that no policy allows anything.
func TestForbiddenFile(t *testing.T) {
	w := newWorld(t, "")
	file := w.put("a.pdf", document(100, "a"))
	t.Setenv("AWS_ACCESS_KEY_ID", "stranger")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stranger-secret")
	w.worker()
	w.publish(w.job("forbidden", []schemas.File{file}))
	if event := w.final("forbidden"); event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != "file_forbidden" {
		t.Errorf("%s %+v, want failed file_forbidden", event.Data.Status, event.Data.Reason)
	}
}

// TestRefusedJobs: what cannot be understood, or does not belong here, ends as a
// failed event where an id can be read, and always as a dead letter that holds
// it as it came. The worker goes on.
func TestRefusedJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	const lane = "chartpost.jobs.live.good-health"
	valid := func(id string, changes ...func(*schemas.Job)) []byte {
		data, err := json.Marshal(w.job(id, []schemas.File{file}, changes...))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	patch := func(data []byte, old, new string) []byte {
		out := bytes.Replace(data, []byte(old), []byte(new), 1)
		if bytes.Equal(out, data) {
			t.Fatalf("the job has no %s", old)
		}
		return out
	}
	cases := []struct {
		id, code, path string
		data           []byte
	}{
		{"", "job_not_json", "", []byte("this is no job")},
		{"", "job_not_json", "", nil},
		{"", "job_required", "", []byte(`{}`)},
		{"unknown-field", "job_unknown_field", "", patch(valid("unknown-field"), `"operation"`, `"oeration":1,"operation"`)},
		{"duplicate-key", "job_duplicate_key", "", patch(valid("duplicate-key"), `"operation"`, `"operation":"notes-new","operation"`)},
		{"bad-operation", "job_enum", "/operation", patch(valid("bad-operation"), `documentreference-create`, `documentreference-delete`)},
		{"other-subject", "subject_mismatch", "/destination", valid("other-subject", to("elsewhere"))},
		{"other-environment", "environment_mismatch", "/destination/environment",
			valid("other-environment", func(j *schemas.Job) { j.Destination.Environment = schemas.Production })},
		{"no-birth-date", "element_missing", "/message/patient/birthDate", patch(valid("no-birth-date"), `"birthDate":"1970-01-01"`, `"active":true`)},
		{"dangling", "reference_unresolved", "/message/resource/author/0/reference",
			patch(valid("dangling"), `"status":"current"`, `"status":"current","author":[{"reference":"Practitioner/nobody"}]`)},
		{"late", "expired", "/expires_at", valid("late", func(j *schemas.Job) {
			j.RequestedAt, j.ExpiresAt = time.Now().Add(-time.Hour).UTC(), time.Now().Add(-time.Minute).UTC()
		})},
	}
	for i, c := range cases {
		w.publishRaw(lane, c.data)
		if c.id == "" {
			w.drained()
		} else if event := w.final(c.id); event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != c.code || (c.path != "" && event.Data.Reason.Path != c.path) {
			t.Errorf("%s: %s %+v, want failed %s %s", c.id, event.Data.Status, event.Data.Reason, c.code, c.path)
		}
		letters := w.dead()
		if len(letters) != i+1 {
			t.Fatalf("case %d %s: %d dead letters, want %d\n%s", i, c.id, len(letters), i+1, w.log.Tail())
		}
		letter := letters[i]
		if !bytes.Equal(letter.Data, c.data) {
			t.Errorf("case %d %s: the dead letter does not hold the message as it came", i, c.id)
		}
		if got := letter.Header.Get("Chartpost-Reason-Code"); got != c.code {
			t.Errorf("case %d %s: the dead letter says %s, want %s", i, c.id, got, c.code)
		}
	}
	w.publish(w.job("after", []schemas.File{file}))
	if event := w.final("after"); event.Data.Status != schemas.StatusAccepted {
		t.Errorf("a good job after the bad ones: %s", event.Data.Status)
	}
	if n := len(w.sim.Messages()); n != 1 {
		t.Errorf("Redox took %d messages, want the good one", n)
	}
}

// TestRefusedByRedox: what Redox refuses is final, with its status in the code.
func TestRefusedByRedox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(100, "a"))
	for _, c := range []struct {
		id, code string
		fault    redoxsim.Fault
	}{
		{"bad-request", "redox_status_400", redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 400}},
		{"forbidden", "redox_status_403", redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 403, Body: "<html>blocked</html>"}},
		{"hidden-error", "redox_refused", redoxsim.Fault{Action: redoxsim.ErrorOutcome}},
		{"fatal-header", "redox_refused", redoxsim.Fault{Action: redoxsim.ErrorHeaderFatal}},
		{"redirect", "redox_redirect", redoxsim.Fault{Action: redoxsim.Redirect, URL: "https://elsewhere.invalid/"}},
	} {
		c.fault.Match, c.fault.Times = redoxsim.Match{Kind: redoxsim.MessageRequest}, 1
		if err := w.sim.Inject(c.fault); err != nil {
			t.Fatal(err)
		}
		w.publish(w.job(c.id, []schemas.File{file}))
		event := w.final(c.id)
		if event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != c.code {
			t.Errorf("%s: %s %+v, want failed %s", c.id, event.Data.Status, event.Data.Reason, c.code)
		}
		if got := w.statuses(c.id); got != "1/failed" {
			t.Errorf("%s: events %q, want one", c.id, got)
		}
	}
}

// TestThePinHolds: an object that is replaced between two tries is not sent.
func TestThePinHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if err := w.sim.Inject(redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.UploadRequest}, Action: redoxsim.StatusAfterBody, Status: 503, Times: 15}); err != nil {
		t.Fatal(err)
	}
	w.worker()
	file := w.put("a.pdf", document(1000, "first"))
	w.publish(w.job("pinned", []schemas.File{file}, transfer(schemas.Upload)))
	w.await("pinned", func(e schemas.Event) bool { return e.Data.Status == schemas.StatusRetrying })
	store := s3dev.Client(w.settings.S3.Endpoint, s3dev.Options{})
	if _, err := store.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(file.Bucket), Key: aws.String(file.Key), Body: bytes.NewReader(document(1000, "second")),
	}); err != nil {
		t.Fatal(err)
	}
	if event := w.final("pinned"); event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != "file_changed" {
		t.Errorf("%s %+v, want failed file_changed", event.Data.Status, event.Data.Reason)
	}
	if n := len(w.sim.Messages()); n != 0 {
		t.Errorf("%d messages reached Redox", n)
	}
}

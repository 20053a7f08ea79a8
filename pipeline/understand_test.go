package pipeline

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

const (
	defaultSource = "11111111-2222-4333-8444-555555555555"
	patientJSON   = `{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"}`
	documentJSON  = `{"resourceType":"DocumentReference","status":"current"}`
)

// jobJSON is a valid job after the changes, each an old and a new text.
func jobJSON(t *testing.T, changes ...string) []byte {
	t.Helper()
	data, err := json.Marshal(schemas.Job{
		ID: "job-1", Operation: schemas.DocumentReferenceCreate,
		Destination: schemas.Destination{Slug: "good-health", Environment: schemas.Development},
		Files:       []schemas.File{{Bucket: "reports", Key: "a.pdf"}},
		Message:     json.RawMessage(`{"patient":` + patientJSON + `,"resource":` + documentJSON + `}`),
		RequestedAt: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		changed := bytes.Replace(data, []byte(changes[i]), []byte(changes[i+1]), 1)
		if bytes.Equal(changed, data) {
			t.Fatalf("the job has no %s", changes[i])
		}
		data = changed
	}
	return data
}

// TestUnderstand: what does not belong here, or could not be read, is told by
// kind, code and place before any I/O, and with the id where there is one.
func TestUnderstand(t *testing.T) {
	const secret = "KANARIENVOGEL"
	lane := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	p := New(nil, nil, Settings{Environment: schemas.Development, SourceID: defaultSource}, time.Now)
	for _, c := range []struct {
		name string
		data []byte
		id   string
		kind fault.Kind
		code string
		path string
	}{
		{"a good job", jobJSON(t), "job-1", "", "", ""},
		{"another subject", jobJSON(t, `"good-health"`, `"elsewhere"`), "job-1", fault.Permanent, "subject_mismatch", "/destination"},
		{"another environment", jobJSON(t, `"Development"`, `"Production"`), "job-1", fault.Permanent, "environment_mismatch", "/destination/environment"},
		{"no JSON", []byte(secret), "", fault.Poison, "job_not_json", ""},
		{"nothing", nil, "", fault.Poison, "job_not_json", ""},
		{"no fields", []byte(`{}`), "", fault.Poison, "job_required", ""},
		{"an id that is none", jobJSON(t, `"job-1"`, `"job 1 `+secret+`"`), "", fault.Poison, "job_pattern", "/id"},
		{"an unknown operation", jobJSON(t, `"documentreference-create"`, `"`+secret+`"`), "job-1", fault.Poison, "job_enum", "/operation"},
		{"an unknown field", jobJSON(t, `"operation"`, `"`+secret+`":1,"operation"`), "job-1", fault.Poison, "job_unknown_field", ""},
		{"two problems", jobJSON(t, `"operation"`, `"a":1,"b":2,"operation"`), "job-1", fault.Poison, "job_unknown_field", ""},
		{"a patient without a birth date", jobJSON(t, `"birthDate"`, `"_birthDate"`), "job-1", fault.Permanent, "element_missing", "/message/patient/birthDate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			job, err := p.Understand(lane, c.data)
			if job.ID != c.id {
				t.Errorf("id %q, want %q", job.ID, c.id)
			}
			f := fault.Of(err)
			if c.code == "" {
				if f != nil || job.SourceID != defaultSource {
					t.Errorf("%v, source %q", err, job.SourceID)
				}
				return
			}
			if f == nil || f.Kind != c.kind || f.Code != c.code || c.path != "" && f.Path != c.path {
				t.Fatalf("%+v, want %s %s at %s", f, c.kind, c.code, c.path)
			}
			if said := f.Error() + job.Operation; strings.Contains(said, secret) || f.Text == "" {
				t.Errorf("says %q", said)
			}
			if c.name == "two problems" && !strings.Contains(f.Text, "(and 1 more)") {
				t.Errorf("says %q, want the number of the others", f.Text)
			}
		})
	}
}

// TestUnderstandKeepsTheJobsSource: the default is for jobs that name none.
func TestUnderstandKeepsTheJobsSource(t *testing.T) {
	const own = "0f8fad5b-d9cb-469f-a165-70867728950e"
	p := New(nil, nil, Settings{Environment: schemas.Development, SourceID: defaultSource}, time.Now)
	job, err := p.Understand(schemas.Lane{Class: schemas.Backfill, Destination: "good-health"},
		jobJSON(t, `"operation"`, `"source_id":"`+own+`","operation"`))
	if err != nil || job.SourceID != own {
		t.Errorf("source %q, %v", job.SourceID, err)
	}
}

// TestASmallMessageIsParsedOnce: its draft goes from the reading of the job to the
// composing. That of a large one would take too much memory meanwhile.
func TestASmallMessageIsParsedOnce(t *testing.T) {
	p := New(nil, nil, Settings{Environment: schemas.Development, SourceID: defaultSource}, time.Now)
	lane := schemas.Lane{Class: schemas.Live, Destination: "good-health"}
	for size, kept := range map[int]bool{0: true, 2 * keptMessage: false} {
		u, err := p.Understand(lane, jobJSON(t, `"birthDate"`, `"maritalStatus":{"text":"`+strings.Repeat("x", size+1)+`"},"birthDate"`))
		if err != nil {
			t.Fatal(err)
		}
		if (u.draft != nil) != kept {
			t.Errorf("%d bytes: kept %t, want %t", len(u.Message), u.draft != nil, kept)
		}
		draft := u.draft
		d := &delivery{line: p, job: u.Job, draft: u.draft, record: &job.Record{}}
		if stated, err := d.stated(); err != nil || len(stated) != len(u.Files) || d.draft != draft {
			t.Errorf("%d bytes: %d files stated, %v", len(u.Message), len(stated), err)
		}
	}
}

package compose_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// canary stands for patient data: it is in every value of the base message
// that no rule reads, and in most that one does.
const canary = "Zqxcanary"

const baseMessage = `{
	"patient": {
		"resourceType": "Patient",
		"id": "p1",
		"identifier": [{"system": "urn:zqxcanary", "value": "Zqxcanary"}],
		"name": [{"family": "Zqxcanary"}],
		"gender": "female",
		"birthDate": "1980-01-02"
	},
	"resource": {
		"resourceType": "DocumentReference",
		"id": "d1",
		"status": "current",
		"subject": {"reference": "Patient/p1"},
		"contained": [{"resourceType": "Practitioner", "id": "c1"}],
		"author": [{"reference": "#c1"}],
		"content": [{"attachment": {"title": "Zqxcanary"}}, {"attachment": {}}]
	},
	"entries": [{"resourceType": "Encounter", "id": "e1", "subject": {"reference": "Patient/p1"}}],
	"header": {"resourceType": "MessageHeader", "source": {"name": "Zqxcanary"}, "focus": [{"reference": "DocumentReference/d1"}]}
}`

func baseJob() schemas.Job {
	return schemas.Job{
		ID:          "job-1",
		Operation:   "documentreference-create",
		Files:       make([]schemas.File, 2),
		Message:     json.RawMessage(baseMessage),
		RequestedAt: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
	}
}

func baseFiles() []compose.Attachment {
	return []compose.Attachment{
		{ContentType: "application/pdf", Title: canary, Size: 3, SHA1: make([]byte, 20)},
		{ContentType: "text/plain", Size: 4, URL: "https://blob.redoxengine.com/1"},
	}
}

type refusal struct {
	name string
	// old is replaced by new in the base message; with an empty old, new is
	// the whole message.
	old, new   string
	code, path string
}

func TestCheckAcceptsTheBase(t *testing.T) {
	mustCompose(t, baseJob(), baseFiles())
}

func TestRefusals(t *testing.T) {
	const doc, pat, head, entry = "/message/resource", "/message/patient", "/message/header", "/message/entries/0"
	cases := []refusal{
		{"empty", "", ``, "message_invalid", "/message"},
		{"not JSON", "", `{"patient": Zqxcanary}`, "message_invalid", "/message"},
		{"two values", "", baseMessage + `{}`, "message_invalid", "/message"},
		{"rubbish behind", "", baseMessage + `Zqxcanary`, "message_invalid", "/message"},
		{"cut off", "", baseMessage[:len(baseMessage)-1], "message_invalid", "/message"},
		{"an array", "", `[]`, "message_invalid", "/message"},
		{"duplicate key", `"gender": "female"`, `"gender": "female", "g\u0065nder": "Zqxcanary"`, "message_invalid", "/message"},
		{"invalid UTF-8", `"urn:zqxcanary"`, "\"\xff\"", "message_invalid", "/message"},
		{"lone surrogate", `"urn:zqxcanary"`, `"\ud800"`, "message_invalid", "/message"},
		{"too deep", `"id": "d1"`, `"id": "d1", "x": ` + strings.Repeat("[", 250) + strings.Repeat("]", 250), "message_invalid", "/message"},
		{"too many values", `"id": "d1"`, `"id": "d1", "x": [` + strings.Repeat("1,", 99_999) + "1]", "message_invalid", "/message"},
		{"unknown member", `"entries"`, `"Zqxcanary 7": 1, "entries"`, "element_invalid", "/message/*"},
		{"unknown member with a name", `"entries"`, `"extra": 1, "entries"`, "element_invalid", "/message/*"},

		{"no patient", `"patient"`, `"notPatient"`, "element_invalid", "/message/*"},
		{"empty message", "", `{}`, "element_missing", pat},
		{"patient null", "", `{"patient": null, "resource": {"resourceType": "DocumentReference"}}`, "element_invalid", pat},
		{"patient of another type", `"resourceType": "Patient"`, `"resourceType": "Person"`, "element_invalid", pat + "/resourceType"},
		{"patient without type", `"resourceType": "Patient",`, ``, "element_missing", pat + "/resourceType"},
		{"type is no string", `"resourceType": "Patient"`, `"resourceType": 1`, "element_invalid", pat + "/resourceType"},
		{"resource of another type", `"resourceType": "DocumentReference"`, `"resourceType": "DiagnosticReport"`, "element_invalid", doc + "/resourceType"},
		{"id is no string", `"id": "p1"`, `"id": 7`, "element_invalid", pat + "/id"},
		{"id is no FHIR id", `"id": "p1"`, `"id": "Zqxcanary_1"`, "element_invalid", pat + "/id"},
		{"entries is no array", "", `{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"},"entries":{}}`, "element_invalid", "/message/entries"},
		{"entry is no object", `"entries": [`, `"entries": ["Zqxcanary", `, "element_invalid", entry},
		{"entry without type", `"resourceType": "Encounter",`, ``, "element_missing", entry + "/resourceType"},
		{"second patient", `"resourceType": "Encounter"`, `"resourceType": "Patient"`, "element_invalid", entry + "/resourceType"},
		{"second header", `"resourceType": "Encounter"`, `"resourceType": "MessageHeader"`, "element_invalid", entry + "/resourceType"},

		{"no identifier", `"identifier"`, `"identifiers"`, "element_missing", pat + "/identifier"},
		{"empty identifier", `"identifier": [{"system": "urn:zqxcanary", "value": "Zqxcanary"}]`, `"identifier": []`, "element_missing", pat + "/identifier"},
		{"identifier is no array", `"identifier": [{"system": "urn:zqxcanary", "value": "Zqxcanary"}]`, `"identifier": {}`, "element_invalid", pat + "/identifier"},
		{"identifier is no object", `"identifier": [`, `"identifier": [1, `, "element_invalid", pat + "/identifier/0"},
		{"second identifier without value", `"value": "Zqxcanary"}]`, `"value": "Zqxcanary"}, {"system": "x"}]`, "element_missing", pat + "/identifier/1/value"},
		{"identifier without system", `"system": "urn:zqxcanary", `, ``, "element_missing", pat + "/identifier/0/system"},
		{"second identifier without system", `"value": "Zqxcanary"}]`, `"value": "Zqxcanary"}, {"value": "4711", "type": {"text": "local"}}]`, "", ""},
		{"first identifier without system", `"identifier": [`, `"identifier": [{"value": "4711"}, `, "", ""},
		{"identifier with empty system", `"urn:zqxcanary"`, `""`, "element_invalid", pat + "/identifier/0/system"},
		{"no name", `"name": [{"family": "Zqxcanary"}],`, ``, "element_missing", pat + "/name"},
		{"empty name", `"name": [{"family": "Zqxcanary"}]`, `"name": []`, "element_missing", pat + "/name"},
		{"name is no array", `"name": [{"family": "Zqxcanary"}]`, `"name": "Zqxcanary"`, "element_invalid", pat + "/name"},
		{"name of strings", `"name": [{"family": "Zqxcanary"}]`, `"name": ["Zqxcanary"]`, "element_invalid", pat + "/name"},
		{"no gender", `"gender": "female",`, ``, "element_missing", pat + "/gender"},
		{"unknown gender", `"female"`, `"Zqxcanary"`, "element_invalid", pat + "/gender"},
		{"no birth date", `"birthDate"`, `"birthdate"`, "element_missing", pat + "/birthDate"},
		{"birth date of another form", `"1980-01-02"`, `"02.01.1980 Zqxcanary"`, "element_invalid", pat + "/birthDate"},
		{"birth date with a line end", `"1980-01-02"`, `"1980-01-02\n"`, "element_invalid", pat + "/birthDate"},
		{"birth date is a number", `"1980-01-02"`, `1980`, "element_invalid", pat + "/birthDate"},
		{"birth date is on no calendar", `"1980-01-02"`, `"1981-02-29"`, "element_invalid", pat + "/birthDate"},
		{"identifier of blanks", `"value": "Zqxcanary"}]`, `"value": " \t\u00a0"}]`, "element_invalid", pat + "/identifier/0/value"},
		{"name says nothing", `"name": [`, `"name": [{}, `, "element_invalid", pat + "/name"},

		{"no status", `"status": "current",`, ``, "element_missing", doc + "/status"},
		{"unknown status", `"current"`, `"Zqxcanary"`, "element_invalid", doc + "/status"},
		{"master identifier is no object", `"status"`, `"masterIdentifier": "Zqxcanary", "status"`, "element_invalid", doc + "/masterIdentifier"},
		{"subject elsewhere", `"subject": {"reference": "Patient/p1"},
		"contained"`, `"subject": {"reference": "https://x.example/Patient/p1"}, "contained"`, "subject_mismatch", doc + "/subject/reference"},
		{"subject is another resource", `"subject": {"reference": "Patient/p1"},
		"contained"`, `"subject": {"reference": "Encounter/e1"}, "contained"`, "subject_mismatch", doc + "/subject/reference"},
		{"subject by identifier", `"subject": {"reference": "Patient/p1"},
		"contained"`, `"subject": {"identifier": {"value": "Zqxcanary"}}, "contained"`, "subject_mismatch", doc + "/subject"},
		{"subject null", `"subject": {"reference": "Patient/p1"},
		"contained"`, `"subject": null, "contained"`, "subject_mismatch", doc + "/subject"},
		{"subject unresolved", `"subject": {"reference": "Patient/p1"},
		"contained"`, `"subject": {"reference": "Patient/Zqxcanary"}, "contained"`, "reference_unresolved", doc + "/subject/reference"},
		{"context is no object", `"status"`, `"context": [], "status"`, "element_invalid", doc + "/context"},
		{"content is no array", `"content": [{"attachment": {"title": "Zqxcanary"}}, {"attachment": {}}]`, `"content": {}`, "content_mismatch", doc + "/content"},
		{"content of one", `, {"attachment": {}}]`, `]`, "content_mismatch", doc + "/content"},
		{"content of three", `{"attachment": {}}]`, `{"attachment": {}}, {}]`, "content_mismatch", doc + "/content"},
		{"content is empty", `"content": [{"attachment": {"title": "Zqxcanary"}}, {"attachment": {}}]`, `"content": []`, "content_mismatch", doc + "/content"},
		{"content element is no object", `{"attachment": {}}]`, `"Zqxcanary"]`, "element_invalid", doc + "/content/1"},
		{"attachment is no object", `{"attachment": {}}]`, `{"attachment": []}]`, "element_invalid", doc + "/content/1/attachment"},
		{"content type is no MIME type", `{"attachment": {}}]`, `{"attachment": {"contentType": "Zqxcanary"}}]`, "element_invalid", doc + "/content/1/attachment/contentType"},
		{"content type is empty", `{"attachment": {}}]`, `{"attachment": {"contentType": ""}}]`, "element_invalid", doc + "/content/1/attachment/contentType"},
		{"title with a terminal's escape", `{"attachment": {}}]`, `{"attachment": {"title": "\u001b]0;Zqxcanary\u0007"}}]`, "element_invalid", doc + "/content/1/attachment/title"},
		{"title with a C1 control", `{"attachment": {}}]`, `{"attachment": {"title": "Zqxcanary\u009b"}}]`, "element_invalid", doc + "/content/1/attachment/title"},
		{"title is no string", `{"attachment": {}}]`, `{"attachment": {"title": 1}}]`, "element_invalid", doc + "/content/1/attachment/title"},

		{"duplicate type and id", `"entries": [`, `"entries": [{"resourceType": "Encounter", "id": "e1"}, `, "duplicate_resource", "/message/entries/1/id"},
		{"one UUID for two types", "", withUUIDs("7d444840-9dc0-11d1-b245-5ffdce74fad2", "7D444840-9dc0-11d1-b245-5ffdce74fad2"), "duplicate_resource", doc + "/id"},
		{"duplicate contained", `"id": "c1"}`, `"id": "c1"}, {"id": "c1"}`, "duplicate_resource", doc + "/contained/1/id"},
		{"contained is no array", `"contained": [{"resourceType": "Practitioner", "id": "c1"}]`, `"contained": {}`, "element_invalid", doc + "/contained"},

		{"eventCoding", `"source": {`, `"eventCoding": {}, "source": {`, "header_conflict", head + "/eventCoding"},
		{"another eventUri", `"source": {`, `"eventUri": "https://fhir.redoxengine.com/EventDefinition/ObservationCreate", "source": {`, "header_conflict", head + "/eventUri"},
		{"eventUri is no string", `"source": {`, `"eventUri": null, "source": {`, "header_conflict", head + "/eventUri"},
		{"focus elsewhere", `"DocumentReference/d1"`, `"Encounter/e1"`, "header_conflict", head + "/focus"},
		{"focus is empty", `"focus": [{"reference": "DocumentReference/d1"}]`, `"focus": []`, "header_conflict", head + "/focus"},
		{"focus is no array", `"focus": [{"reference": "DocumentReference/d1"}]`, `"focus": {"reference": "DocumentReference/d1"}`, "header_conflict", head + "/focus"},
		{"source is no object", `"source": {"name": "Zqxcanary"}`, `"source": "Zqxcanary"`, "element_invalid", head + "/source"},
		{"endpoint is no string", `"source": {`, `"source": {"endpoint": {}, `, "element_invalid", head + "/source/endpoint"},
		{"header of another type", `"resourceType": "MessageHeader"`, `"resourceType": "Basic"`, "element_invalid", head + "/resourceType"},
		{"header is no object", "", `{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference"},"header":[]}`, "element_invalid", head},
	}
	for _, member := range []string{"data", "url", "size", "hash", "_data", "_url", "_size", "_hash"} {
		cases = append(cases, refusal{"attachment with " + member, `{"attachment": {}}]`,
			`{"attachment": {"` + member + `": "Zqxcanary"}}]`, "attachment_given", doc + "/content/1/attachment/" + member})
	}
	for _, ref := range []string{
		"", "Zqxcanary", "urn:uuid:", "urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2", "urn:oid:1.2.3", "Practitioner/1", "practitioner/c1",
		"#", "#e1", "##c1", "Encounter/e1/", "/Encounter/e1", "Encounter/e1/_history/", "Encounter/e1/x/1", "Encounter?identifier=Zqxcanary", "Encounter/E1",
		"ftp://x.example/1", "https://", "http://a b", "httpsx://a", "mailto:zqxcanary", " Encounter/e1", `Encounter/e1\n`, "Encounter/", "e1",
	} {
		cases = append(cases,
			refusal{"reference " + ref, `"id": "e1", `, `"id": "e1", "location": [{"location": {"reference": "` + ref + `"}}], `,
				"reference_unresolved", "/message/entries/0/location/0/location/reference"})
	}
	for _, value := range []string{`["Patient/Zqxcanary"]`, `[]`, `[{"reference": "Encounter/e1"}]`, `471100815`, `null`, `true`} {
		cases = append(cases, refusal{"reference is " + value, `"id": "e1", `, `"id": "e1", "serviceProvider": {"reference": ` + value + `}, `,
			"element_invalid", "/message/entries/0/serviceProvider/reference"})
	}
	cases = append(cases,
		refusal{"reference that is an object", `"id": "e1", `, `"id": "e1", "data": [{"reference": {"reference": "Encounter/e1"}}], `, "", ""},
		refusal{"reference below a key that is no element", `"id": "e1", `, `"id": "e1", "Zqx canary": {"0123456": {"reference": "x"}}, `,
			"reference_unresolved", "/message/entries/0/*/*/reference"},
		refusal{"reference in the header", `"source": {`, `"author": {"reference": "Practitioner/Zqxcanary"}, "source": {`, "reference_unresolved", head + "/author/reference"},
		refusal{"reference in a contained resource", `"id": "c1"`, `"id": "c1", "x": {"reference": "#c2"}`, "reference_unresolved", doc + "/contained/0/*/reference"},
		refusal{"fragment of another resource", `"id": "p1",`, `"id": "p1", "link": [{"other": {"reference": "#c1"}}],`, "reference_unresolved", pat + "/link/0/other/reference"},
	)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job := baseJob()
			job.Message = json.RawMessage(c.new)
			if c.old != "" {
				if strings.Count(baseMessage, c.old) == 0 {
					t.Fatal("the base message does not hold what the case replaces")
				}
				job.Message = json.RawMessage(strings.Replace(baseMessage, c.old, c.new, 1))
			}
			checkRefused(t, job, c.code, c.path)
		})
	}
}

// withUUIDs gives a message whose patient and document have these ids.
func withUUIDs(patient, document string) string {
	s := strings.Replace(baseMessage, `"id": "p1"`, `"id": "`+patient+`"`, 1)
	s = strings.ReplaceAll(s, "Patient/p1", "Patient/"+patient)
	s = strings.Replace(s, `"id": "d1"`, `"id": "`+document+`"`, 1)
	return strings.ReplaceAll(s, "DocumentReference/d1", "DocumentReference/"+document)
}

func checkRefused(t *testing.T, job schemas.Job, code, path string) {
	t.Helper()
	err := compose.Check(job)
	if code == "" {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok {
		t.Fatalf("want %s at %s, got %v", code, path, err)
	}
	if f.Code != code || f.Path != path {
		t.Errorf("want %s at %s, got %v", code, path, f)
	}
	wantKind := fault.Permanent
	if code == "message_invalid" || code == "operation_unknown" {
		wantKind = fault.Poison
	}
	if f.Kind != wantKind || f.Scope != fault.Job {
		t.Errorf("the fault is %s of the %s", f.Kind, f.Scope)
	}
	if strings.Contains(strings.ToLower(f.Error()), "canary") || strings.Contains(f.Error(), "0123456") {
		t.Errorf("the fault's text quotes the message: %v", f)
	}
	if _, composeErr := compose.Compose(job, baseFiles()); composeErr == nil || composeErr.Error() != err.Error() {
		t.Errorf("Compose says %v where Check says %v", composeErr, err)
	}
	if _, err := compose.Stated(job); err == nil {
		t.Error("Stated takes what Check refuses")
	}
}

func TestRefusalsOfTheJob(t *testing.T) {
	cases := []struct {
		name, code, path string
		change           func(*schemas.Job)
	}{
		{"unknown operation", "operation_unknown", "/operation", func(j *schemas.Job) { j.Operation = canary }},
		{"no operation", "operation_unknown", "/operation", func(j *schemas.Job) { j.Operation = "" }},
		{"no id", "element_missing", "/id", func(j *schemas.Job) { j.ID = "" }},
		{"no files", "element_missing", "/files", func(j *schemas.Job) { j.Files = nil }},
		{"no time", "element_missing", "/requested_at", func(j *schemas.Job) { j.RequestedAt = time.Time{} }},
		{"year 10000", "element_invalid", "/requested_at", func(j *schemas.Job) { j.RequestedAt = j.RequestedAt.AddDate(8000, 0, 0) }},
		{"year 0", "element_invalid", "/requested_at", func(j *schemas.Job) { j.RequestedAt = j.RequestedAt.AddDate(-2026, 0, 0) }},
		{"source id is no UUID", "element_invalid", "/source_id", func(j *schemas.Job) { j.SourceID = canary }},
		{"source id with braces", "element_invalid", "/source_id", func(j *schemas.Job) { j.SourceID = "{7d444840-9dc0-11d1-b245-5ffdce74fad2}" }},
		{"one file more than content", "content_mismatch", "/message/resource/content", func(j *schemas.Job) { j.Files = make([]schemas.File, 3) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job := baseJob()
			c.change(&job)
			checkRefused(t, job, c.code, c.path)
		})
	}
}

func TestRefusalsOfFiles(t *testing.T) {
	cases := []struct {
		name, code, path string
		change           func([]compose.Attachment)
	}{
		{"no type", "element_missing", "/files/1/content_type", func(a []compose.Attachment) { a[1].ContentType = "" }},
		{"type is no MIME type", "element_missing", "/files/0/content_type", func(a []compose.Attachment) { a[0].ContentType = canary }},
		{"empty", "element_invalid", "/files/0", func(a []compose.Attachment) { a[0].Size = 0 }},
		{"negative", "element_invalid", "/files/1", func(a []compose.Attachment) { a[1].Size = -1 }},
		{"larger than FHIR can say", "element_invalid", "/files/1", func(a []compose.Attachment) { a[1].Size = 1 << 31 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := baseFiles()
			c.change(files)
			_, err := compose.Compose(baseJob(), files)
			f, ok := errors.AsType[*fault.Fault](err)
			if !ok || f.Code != c.code || f.Path != c.path || f.Kind != fault.Permanent {
				t.Fatalf("want %s at %s, got %v", c.code, c.path, err)
			}
			if strings.Contains(f.Error(), canary) {
				t.Errorf("the fault's text quotes the file: %v", f)
			}
		})
	}
}

// TestMistakesOfTheProgram: what no job can cause is no Fault.
func TestMistakesOfTheProgram(t *testing.T) {
	short := baseFiles()
	short[0].SHA1 = []byte{1, 2}
	for name, files := range map[string][]compose.Attachment{"too few": baseFiles()[:1], "none": nil, "short SHA-1": short} {
		_, err := compose.Compose(baseJob(), files)
		if _, ok := errors.AsType[*fault.Fault](err); ok || err == nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	job := baseJob()
	job.Message = json.RawMessage(strings.NewReplacer(`"female"`, `"Zqxcanary"`, `"current"`, `"Zqxcanary"`, `"#c1"`, `"#c2"`).Replace(baseMessage))
	want := "element_invalid at /message/patient/gender: gender must be one of male, female, other, unknown; and 2 more: " +
		"reference_unresolved at /message/resource/author/0/reference, element_invalid at /message/resource/status"
	if err := compose.Check(job); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	job.Message = json.RawMessage(strings.Replace(baseMessage, "Patient/p1", "Patient/p2", 1))
	if err := compose.Check(job); err == nil || strings.Contains(err.Error(), "more") {
		t.Errorf("an unresolved subject is one problem, got %v", err)
	}

	var entries []string
	for i := range 40 {
		entries = append(entries, fmt.Sprintf(`{"id": "bad_%d_Zqxcanary"}`, i))
	}
	job.Message = json.RawMessage(strings.Replace(baseMessage, `"entries": [`, `"entries": [`+strings.Join(entries, ",")+",", 1))
	err := compose.Check(job)
	if err == nil || !strings.Contains(err.Error(), "and 79 more: ") || len(err.Error()) > 1000 {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the fault's text quotes the message: %v", err)
	}
}

func TestStated(t *testing.T) {
	job := baseJob()
	job.Message = json.RawMessage(strings.Replace(baseMessage, `{"attachment": {}}]`, `{"attachment": {"contentType": "image/png"}}]`, 1))
	got, err := compose.Stated(job)
	if want := []compose.Statement{{Title: canary}, {ContentType: "image/png"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

package compose_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

func TestSettings(t *testing.T) {
	for _, c := range []compose.Composer{
		{}, {ObservationFile: "valueAttachment"}, {ObservationFile: "https://lab.example/ext"}, {UploadedNote: "Plain Text"}, {UploadedNote: "Base64 Encoded"},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	for _, c := range []compose.Composer{{ObservationFile: "presentedForm"}, {ObservationFile: "urn:x"}, {UploadedNote: "Rich Text"}, {UploadedNote: "x"}} {
		if c.Validate() == nil {
			t.Errorf("%v is taken", c)
		}
	}
}

// composed gives the message of a base job under settings, the first files
// uploaded or embedded.
func composed(t *testing.T, c compose.Composer, job schemas.Job, files []compose.Attachment, uploaded bool) *tree {
	t.Helper()
	for i := range files {
		files[i].URL = ""
		if uploaded {
			files[i].URL = "https://blob.redoxengine.com/0"
		}
	}
	m, err := c.Compose(job, files)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{files: [][]byte{make([]byte, files[0].Size), make([]byte, 4)}}
	return readTree(t, readBody(t, m, s.Open))
}

func TestObservationFileIsASetting(t *testing.T) {
	job, files := baseOf(t, schemas.ObservationCreate)
	main := func(c compose.Composer, job schemas.Job) *tree {
		return composed(t, c, job, files, true).member("entry").elems[2].member("resource")
	}
	extension := func(resource *tree) *tree { return resource.member("extension").elems[1] }

	e := extension(main(compose.Composer{}, job))
	if e.member("url").raw != `"`+compose.ObservationValueExtension+`"` || e.member("valueAttachment").member("url") == nil {
		t.Error("by default the file is not in HL7's extension")
	}
	e = extension(main(compose.Composer{ObservationFile: "https://lab.example/ext"}, job))
	if e.member("url").raw != `"https://lab.example/ext"` || e.member("valueAttachment").member("url") == nil {
		t.Error("the file is not in the extension of the settings")
	}

	element := compose.Composer{ObservationFile: "valueAttachment"}
	if f, ok := errors.AsType[*fault.Fault](element.Check(job)); !ok || f.Code != "element_invalid" || f.Path != "/message/resource/valueString" {
		t.Errorf("a second value is taken: %v", element.Check(job))
	}
	free := spoil(t, job, `"valueString": "Zqxcanary"
	},`, `"valueAttachment": {"title": "mine", "contentType": "image/png"}},`)
	r := main(element, free)
	if a := r.member("valueAttachment"); a.member("url") == nil || a.member("title").raw != `"mine"` || len(r.member("extension").elems) != 1 {
		t.Error("the file is not in valueAttachment")
	}
	if stated, err := element.Stated(free); err != nil || stated[0] != (compose.Statement{ContentType: "image/png", Title: "mine"}) {
		t.Errorf("the message states %q, %v", stated, err)
	}
}

func TestNoteContentType(t *testing.T) {
	job, files := baseOf(t, schemas.NotesNew)
	given := spoil(t, job, `"Note": {`, `"Note": {"ContentType": "Base64 Encoded", `)
	for _, c := range []struct {
		job      schemas.Job
		setting  string
		uploaded bool
		want     string
	}{
		{job, "", true, "Base64 Encoded"},
		{job, "", false, "Base64 Encoded"},
		{job, "Plain Text", true, "Plain Text"},
		{job, "Plain Text", false, "Base64 Encoded"},
		{given, "Plain Text", true, "Base64 Encoded"},
	} {
		got := composed(t, compose.Composer{UploadedNote: c.setting}, c.job, files, c.uploaded).member("Note").member("ContentType").raw
		if got != `"`+c.want+`"` {
			t.Errorf("setting %q, uploaded %v: %s", c.setting, c.uploaded, got)
		}
	}
}

func TestFileTypes(t *testing.T) {
	job, files := baseOf(t, schemas.MediaNew)
	for contentType, want := range map[string]string{
		"application/pdf": "PDF", "APPLICATION/PDF; x=y": "PDF", "image/jpeg": "JPG", "image/png": "PNG", "image/tiff": "TIFF", "image/gif": "GIF", "image/bmp": "BMP",
		"text/plain": "TXT", "text/plain;charset=utf-8": "TXT", "text/rtf": "RTF", "application/rtf": "RTF", "text/html": "HTML", "application/xml": "XML",
		"application/msword": "DOC", "application/dicom": "DCM", "image/webp": "WEBP", "audio/mpeg": "MP3", "video/mp4": "MP4",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
	} {
		files[0].ContentType = contentType
		if got := composed(t, compose.Composer{}, job, files, true).member("Media").member("FileType").raw; got != `"`+want+`"` {
			t.Errorf("%s is %s, want %s", contentType, got, want)
		}
	}
	for _, contentType := range []string{"", "pdf", "application/octet-stream", "application/x-unknown", "chemical/x", "image/*", "image/", "image/p\n", "application/vnd.x"} {
		files[0].ContentType = contentType
		if _, err := compose.Compose(job, files); err == nil {
			t.Errorf("%q has a FileType", contentType)
		}
	}
}

// TestDocumentsHaveStableIdentifiers: where the caller gives none it derives
// from the job's destination and id; where he does it is his.
func TestDocumentsHaveStableIdentifiers(t *testing.T) {
	given := map[string][2]string{ // what to replace so that there is one, or none
		schemas.DiagnosticReportCreate: {`"status": "final"`, `"identifier": [{"value": "theirs"}], "status": "final"`},
		schemas.ObservationCreate:      {`"status": "final"`, `"identifier": [{"value": "theirs"}], "status": "final"`},
		schemas.NotesNew:               {`"Zqxcanary-1"`, `"theirs"`},
		schemas.MediaNew:               {`"Zqxcanary-1"`, `"theirs"`},
		schemas.NotesReplace:           {`"Zqxcanary-1"`, `"theirs"`},
		schemas.MediaReplace:           {`"Zqxcanary-1"`, `"theirs"`},
	}
	for operation, change := range given {
		job, files := baseOf(t, operation)
		own := uuid.NewSHA1(uuid.MustParse(compose.Namespace), []byte(job.Destination.Address()+"/job-1/document")).String()
		for i := range files {
			files[i].URL = "https://blob.redoxengine.com/0"
		}
		literal := func(job schemas.Job) string {
			return string(mustCompose(t, job, files).Parts()[0].Literal)
		}
		if m := literal(spoil(t, job, change[0], change[1])); !strings.Contains(m, "theirs") || strings.Contains(m, own) {
			t.Errorf("%s: the caller's identifier is not the only one", operation)
		}
		none := job
		if strings.Contains(string(job.Message), `"DocumentID": "Zqxcanary-1",`) {
			none = spoil(t, job, `"DocumentID": "Zqxcanary-1",`, ``)
		}
		if m := literal(none); strings.Count(m, own) != 1 {
			t.Errorf("%s: no identifier derives from the job's destination and id", operation)
		}
	}
	job, files := baseOf(t, schemas.DiagnosticReportAmend)
	if strings.Contains(string(mustCompose(t, job, files).Parts()[0].Literal), `"identifier":[{"system":"urn:ietf`) {
		t.Error("an amendment got an identifier that names no report")
	}
}

// TestEncounterOfCodedResources: linked only where there is nothing to guess.
func TestEncounterOfCodedResources(t *testing.T) {
	const entry = `{"resourceType": "Encounter", "id": "e1"`
	for _, operation := range []string{schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend, schemas.ObservationCreate} {
		for _, c := range []struct {
			old, new string
			linked   bool
		}{
			{`"status"`, `"status"`, true},
			{`"status"`, `"encounter": {"display": "x"}, "status"`, false},
			{entry, `{"resourceType": "Encounter", "id": "e2"}, ` + entry, false},
			{entry, `{"resourceType": "Observation", "id": "o2"`, false},
		} {
			job, files := baseOf(t, operation)
			entries := composed(t, compose.Composer{}, spoil(t, job, c.old, c.new), files, true).member("entry").elems
			got := entries[2].member("resource").member("encounter").member("reference")
			if linked := got != nil && got.raw == entries[4].member("fullUrl").raw; linked != c.linked {
				t.Errorf("%s with %s: linked is %v", operation, c.new, linked)
			}
		}
	}
}

// TestMetaOfTheJob: no source without one, and times in UTC.
func TestMetaOfTheJob(t *testing.T) {
	for _, operation := range dataModel(t) {
		job, files := baseOf(t, operation)
		job.SourceID, job.Destination.Name = "", ""
		job = spoil(t, job, `"Source": {"ID": "0f8fad5b-d9cb-469f-a165-70867728950e", "Name": "Zqxcanary"}`, `"Test": false`)
		job = spoil(t, job, `"Destinations": [{"ID": "dest-1", "Name": "Good Health"}]`, `"FacilityCode": null`)
		job = spoil(t, job, `"EventDateTime": "2026-11-19T10:00:00Z",`, ``)
		meta := composed(t, compose.Composer{}, job, files, true).member("Meta")
		destination := meta.member("Destinations").elems[0]
		if meta.member("Source") != nil || destination.member("Name") != nil || destination.member("ID").raw != `"dest-1"` {
			t.Errorf("%s: Meta names what the job does not", operation)
		}
		if meta.member("EventDateTime").raw != `"2026-11-20T10:00:00.000Z"` {
			t.Errorf("%s: the time is %s", operation, meta.member("EventDateTime").raw)
		}
	}
}

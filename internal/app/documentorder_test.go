package app

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// inDocumentOrder is an example job of schemas/ that asks for the order of its document.
// change rewrites its message.
func (w *world) inDocumentOrder(example, id string, file schemas.File, change ...string) schemas.Job {
	w.t.Helper()
	data, err := os.ReadFile("../../schemas/examples/job/" + example + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	job, err := schemas.DecodeJob(data)
	if err != nil {
		w.t.Fatal(err)
	}
	job.ID, job.After, job.DocumentOrder = id, "", true
	job.Files[0].Bucket, job.Files[0].Key, job.Files[0].VersionID, job.Files[0].ETag, job.Files[0].SHA256 = file.Bucket, file.Key, "", "", ""
	job.Destination.Environment, job.SourceID = schemas.Development, ""
	job.RequestedAt, job.ExpiresAt = w.began, time.Time{}
	job.Message = []byte(strings.NewReplacer(change...).Replace(string(job.Message)))
	return job
}

var (
	// given gives a note the id that notes-replace.json replaces.
	given = []string{`"DocumentType":`, `"DocumentID": "b169267c", "DocumentType":`}
	// report gives a report an identifier.
	report = []string{`"resourceType": "DiagnosticReport"`, `"resourceType": "DiagnosticReport", "identifier": [{"system": "urn:oid:1.2", "value": "R-1"}]`}
)

// TestDocumentOrder: a job with document_order is sent after the one that made the document
// which it replaces or amends, although that one's first message failed and is retried.
func TestDocumentOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	for name, jobs := range map[string][]schemas.Job{
		"notes": {
			w.inDocumentOrder("notes-new", "note", file, given...),
			w.inDocumentOrder("notes-replace", "note-2", file),
		},
		"reports": {
			w.inDocumentOrder("diagnosticreport-create", "report", file, report...),
			w.inDocumentOrder("diagnosticreport-amend", "report-2", file, report...),
			w.inDocumentOrder("diagnosticreport-amend", "report-3", file, report...),
		},
	} {
		w.inject(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: http.StatusServiceUnavailable, Times: 3, Match: redoxsim.Match{Kind: redoxsim.MessageRequest}})
		w.publish(jobs[0])
		w.await(jobs[0].ID, func(e schemas.Event) bool { return e.Data.Status == schemas.StatusRetrying })
		w.publish(jobs[1:]...)
		var before time.Time
		for _, job := range jobs {
			e := w.final(job.ID)
			if e.Data.Status != schemas.StatusAccepted || e.Data.Receipt.AcceptedAt.Before(before) {
				t.Errorf("%s: %s is %s at %v, that before it at %s", name, job.ID, e.Data.Status, e.Data.Receipt, before)
				continue
			}
			before = e.Data.Receipt.AcceptedAt
		}
		waits := w.await(jobs[1].ID, func(e schemas.Event) bool { return e.Data.Status == schemas.StatusRetrying })
		if r := waits.Data.Reason; r == nil || r.Code != "predecessor_open" || r.Path != "/document_order" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestAnUnknownDocumentIsWaitedFor: where no job made the document, as far as is known at
// that destination, the one that replaces it waits.
func TestAnUnknownDocumentIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(2000, "a"))
	elsewhere := w.inDocumentOrder("notes-new", "elsewhere", file, given...)
	elsewhere.Destination.ID = "11111111-2222-4333-8444-555555555555"
	w.publish(elsewhere)
	w.final("elsewhere")
	w.publish(w.inDocumentOrder("notes-replace", "replaces", file))
	w.await("replaces", func(e schemas.Event) bool {
		return e.Data.Status == schemas.StatusRetrying && e.Data.Reason.Code == "predecessor_open"
	})
	w.publish(w.inDocumentOrder("notes-new", "late", file, given...))
	if made, replaced := w.final("late"), w.final("replaces"); replaced.Data.Status != schemas.StatusAccepted || replaced.Data.Receipt.AcceptedAt.Before(made.Data.Receipt.AcceptedAt) {
		t.Errorf("%+v, then %+v", made.Data.Receipt, replaced.Data.Receipt)
	}
}

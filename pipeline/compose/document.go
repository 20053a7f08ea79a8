package compose

import "github.com/chartpost/chartpost/schemas"

// Document names what a job with document_order makes, among the documents of its
// destination. The names are what the message says, and may not leave the worker as they
// are. All are empty where the job asks for no order.
type Document struct {
	// Makes is the document that the job makes.
	Makes string
	// Changes is the one that it replaces or amends; an amended report stays the same.
	Changes string
}

// Document gives what the draft's job makes.
func (d *Draft) Document() Document { return d.document }

// documentOf reads the identifiers of the document from a message that has been built.
func documentOf(r request) Document {
	if !r.job.DocumentOrder {
		return Document{}
	}
	switch r.job.Operation {
	case schemas.NotesNew, schemas.NotesReplace:
		return r.modelDocument("Note")
	case schemas.MediaNew, schemas.MediaReplace:
		return r.modelDocument("Media")
	case schemas.DiagnosticReportCreate:
		return Document{Makes: r.report()}
	case schemas.DiagnosticReportAmend:
		report := r.report()
		return Document{Makes: report, Changes: report}
	}
	r.p.add(codeInvalid, at("document_order"), "this operation makes no document that another job replaces or amends; leave it out")
	return Document{}
}

// modelDocument reads DocumentID and OriginalDocumentID (Redox docs, Notes and Media).
func (r request) modelDocument(key string) (d Document) {
	doc := r.message.get(key)
	if !doc.is(kindObject) {
		return d
	}
	if id, ok := doc.get("DocumentID").text(); ok {
		d.Makes = key + "|" + id
	}
	if old, ok := doc.get("OriginalDocumentID").text(); ok {
		d.Changes = key + "|" + old
	}
	return d
}

// report reads the first identifier of a DiagnosticReport.
func (r request) report() string {
	identifiers := r.message.get("resource").get("identifier")
	if identifiers.is(kindArray) && len(identifiers.elems) > 0 {
		system, _ := identifiers.elems[0].get("system").text()
		if value, ok := identifiers.elems[0].get("value").text(); ok && value != "" {
			return "DiagnosticReport|" + system + "|" + value
		}
	}
	r.p.add(codeMissing, at("message", "resource", "identifier"), "document_order needs the identifier of the report: give its value")
	return ""
}

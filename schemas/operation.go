package schemas

import "slices"

// The operations a job can ask for: names of Redox's FHIR operations, and of
// Redox's Data Model messages as <data model>-<event type>.
const (
	DocumentReferenceCreate = "documentreference-create"
	DiagnosticReportCreate  = "diagnosticreport-create"
	DiagnosticReportAmend   = "diagnosticreport-amend"
	ObservationCreate       = "observation-create"
	NotesNew                = "notes-new"
	NotesReplace            = "notes-replace"
	MediaNew                = "media-new"
	MediaReplace            = "media-replace"
	ResultsNew              = "results-new"
	ResultsNewUnsolicited   = "results-newunsolicited"
)

// Operations lists every operation, the FHIR ones first.
func Operations() []string {
	return []string{
		DocumentReferenceCreate, DiagnosticReportCreate, DiagnosticReportAmend, ObservationCreate,
		NotesNew, NotesReplace, MediaNew, MediaReplace, ResultsNew, ResultsNewUnsolicited,
	}
}

// KnownOperation tells whether the contract has an operation of that name.
func KnownOperation(name string) bool { return slices.Contains(Operations(), name) }

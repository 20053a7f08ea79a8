package compose

// reportStatuses are the codes of FHIR R4's required binding.
var reportStatuses = []string{
	"registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled", "entered-in-error", "unknown",
}

// diagnosticReport builds the main resource of diagnosticreport-create: one
// Attachment in presentedForm per file (Redox docs, DiagnosticReport).
func diagnosticReport(b *bundle) []slot {
	b.identifier()
	return amendedReport(b)
}

// amendedReport builds the main resource of diagnosticreport-amend. It makes
// no identifier: an amendment names a report that exists, and one made of the
// job's id would name none.
func amendedReport(b *bundle) []slot {
	checkCode(b.main.node, b.main.at, "status", reportStatuses, b.p)
	b.code()
	b.subject()
	b.encounter()
	return b.attachmentList("presentedForm", attachmentSlot)
}

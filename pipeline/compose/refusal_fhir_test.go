package compose_test

import (
	"testing"

	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

func checkRefusals(t *testing.T, cases []refusal, operations ...string) {
	for _, operation := range operations {
		for _, c := range cases {
			t.Run(operation+"/"+c.name, func(t *testing.T) {
				job, _ := baseOf(t, operation)
				checkRefused(t, spoil(t, job, c.old, c.new), c.code, c.path)
			})
		}
	}
}

// TestRefusalsOfCodedResources: what reports and observations share.
func TestRefusalsOfCodedResources(t *testing.T) {
	const main = "/message/resource"
	cases := []refusal{
		{"no status", `"status": "final",`, ``, "element_missing", main + "/status"},
		{"unknown status", `"final"`, `"Zqxcanary"`, "element_invalid", main + "/status"},
		{"a document's status", `"final"`, `"current"`, "element_invalid", main + "/status"},
		{"no code", `"code": {`, `"codes": {`, "element_missing", main + "/code"},
		{"code is a string", `"code": {`, `"code": "Zqxcanary", "x": {`, "element_invalid", main + "/code"},
		{"code is empty", `"code": {`, `"code": {}, "x": {`, "element_invalid", main + "/code"},
		{"code with an empty text", `"code": {`, `"code": {"text": "", "coding": []}, "x": {`, "element_invalid", main + "/code"},
		{"subject elsewhere", `"subject": {"reference": "Patient/p1"}`, `"subject": {"reference": "https://x.example/Patient/p1"}`, "subject_mismatch", main + "/subject/reference"},
		{"second patient", `"resourceType": "Encounter"`, `"resourceType": "Patient"`, "element_invalid", "/message/entries/1/resourceType"},
	}
	checkRefusals(t, cases, schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend, schemas.ObservationCreate)
	// An amendment's identifier is the caller's own business.
	checkRefusals(t, []refusal{
		{"identifier is an object", `"status"`, `"identifier": {}, "status"`, "element_invalid", main + "/identifier"},
		{"identifier is empty", `"status"`, `"identifier": [], "status"`, "element_invalid", main + "/identifier"},
	}, schemas.DiagnosticReportCreate, schemas.ObservationCreate)
	const old, unknown = `"Observation/o1"`, `"Observation/Zqxcanary"`
	checkRefusals(t, []refusal{{"unresolved", old, unknown, "reference_unresolved", main + "/result/0/reference"}},
		schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend)
	checkRefusals(t, []refusal{{"unresolved", old, unknown, "reference_unresolved", main + "/hasMember/0/reference"}}, schemas.ObservationCreate)
}

func TestRefusalsOfReports(t *testing.T) {
	const form = "/message/resource/presentedForm"
	cases := []refusal{
		{"another resource", `"resourceType": "DiagnosticReport"`, `"resourceType": "DocumentReference"`, "element_invalid", "/message/resource/resourceType"},
		{"another event", `"source": {`, `"eventUri": "https://fhir.redoxengine.com/EventDefinition/DocumentReferenceCreate", "source": {`, "header_conflict", "/message/header/eventUri"},
		{"no array", `"presentedForm": [{"title": "Zqxcanary"}, {}]`, `"presentedForm": {}`, "content_mismatch", form},
		{"one for two", `, {}]`, `]`, "content_mismatch", form},
		{"three for two", `, {}]`, `, {}, {}]`, "content_mismatch", form},
		{"a string", `, {}]`, `, "Zqxcanary"]`, "element_invalid", form + "/1"},
		{"null", `, {}]`, `, null]`, "element_invalid", form + "/1"},
		{"no MIME type", `, {}]`, `, {"contentType": "Zqxcanary"}]`, "element_invalid", form + "/1/contentType"},
		{"title is a number", `, {}]`, `, {"title": 1}]`, "element_invalid", form + "/1/title"},
	}
	for _, member := range []string{"data", "url", "size", "hash", "_data", "_url", "_size", "_hash"} {
		cases = append(cases, refusal{"with " + member, `, {}]`, `, {"` + member + `": "Zqxcanary"}]`, "attachment_given", form + "/1/" + member})
	}
	checkRefusals(t, cases, schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend)
}

// fileExtension begins an array of extensions with that of the file.
const fileExtension = `"extension": [{"url": "` + compose.ObservationValueExtension + `"`

func TestRefusalsOfObservations(t *testing.T) {
	const ext = "/message/resource/extension"
	checkRefusals(t, []refusal{
		{"another resource", `"resourceType": "Observation"`, `"resourceType": "DiagnosticReport"`, "element_invalid", "/message/resource/resourceType"},
		{"a practitioner", `"resourceType": "Encounter"`, `"resourceType": "Practitioner"`, "element_invalid", "/message/entries/1/resourceType"},
		{"extension is an object", `"extension": [{"url": "urn:zqxcanary", "valueString": "Zqxcanary"}]`, `"extension": {}`, "element_invalid", ext},
		{"the extension twice", `"extension": [`, fileExtension + `},{"url": "` + compose.ObservationValueExtension + `"},`, "content_mismatch", ext + "/1"},
		{"the extension with another value", `"extension": [`, fileExtension + `, "valueString": "Zqxcanary"},`, "element_invalid", ext + "/0/valueString"},
		{"the extension with data", `"extension": [`, fileExtension + `, "valueAttachment": {"data": "Zqxcanary"}},`, "attachment_given", ext + "/0/valueAttachment/data"},
		{"the extension with a string", `"extension": [`, fileExtension + `, "valueAttachment": "Zqxcanary"},`, "element_invalid", ext + "/0/valueAttachment"},
	}, schemas.ObservationCreate)
}

func TestRefusalOfTooManyFiles(t *testing.T) {
	for _, op := range compose.Operations() {
		job, _ := baseOf(t, op.Name)
		job.Files = make([]schemas.File, op.MaxFiles+1)
		checkRefused(t, job, "content_mismatch", "/files")
	}
}

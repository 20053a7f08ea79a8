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

// fhirOperations are the names of those of the FHIR API.
func fhirOperations() (names []string) {
	for _, op := range compose.Operations() {
		if op.API == compose.FHIR {
			names = append(names, op.Name)
		}
	}
	return names
}

// TestRefusalsOfDocumentsBeside: what no guard has judged does not travel.
func TestRefusalsOfDocumentsBeside(t *testing.T) {
	// program is the start of a program for Windows.
	const program = "TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAA="
	const given, pat, entry, contained = "attachment_given", "/message/patient", "/message/entries/0", "/message/resource/contained/0"
	first := func(s string) (old, new string) { return `"entries": [`, `"entries": [` + s + `, ` }
	in := func(name, members, code, path string) refusal {
		old, new := first(`{"resourceType": "Observation", ` + members + `}`)
		return refusal{name, old, new, code, path}
	}
	entryOf := func(name, resource, code, path string) refusal {
		old, new := first(resource)
		return refusal{name, old, new, code, path}
	}
	checkRefusals(t, []refusal{
		entryOf("a Binary", `{"resourceType": "Binary", "contentType": "text/html"}`, given, entry+"/resourceType"),
		in("a contained Binary", `"contained": [{"resourceType": "Binary"}]`, given, entry+"/contained/0/resourceType"),
		in("an Attachment", `"extension": [{"url": "x", "valueAttachment": {"data": "Zqxcanary"}}]`, given, entry+"/extension/0/valueAttachment/data"),
		in("data in a list", `"photo": [{"contentType": "image/png", "data": "Zqxcanary"}]`, given, entry+"/photo/0/data"),
		in("data in a contained resource", `"contained": [{"resourceType": "Media", "content": {"data": "Zqxcanary"}}]`, given, entry+"/contained/0/content/data"),
		in("data of the resource", `"data": "Zqxcanary"`, given, entry+"/data"),
		in("an Attachment as SampledData", `"valueSampledData": {"contentType": "text/html", "data": "Zqxcanary"}`, given, entry+"/valueSampledData/data"),
		in("a signature with a type", `"signature": [{"contentType": "text/html", "data": "Zqxcanary"}]`, given, entry+"/signature/0/data"),
		in("a URL that is a document", `"photo": {"url": "Data:text/html,Zqxcanary"}`, given, entry+"/photo/url"),
		{"the patient's photo", `"gender"`, `"photo": [{"data": "Zqxcanary"}], "gender"`, given, pat + "/photo/0/data"},
		{"the header's extension", `"source": {`, `"extension": [{"valueAttachment": {"data": "Zqxcanary"}}], "source": {`, given, "/message/header/extension/0/valueAttachment/data"},

		in("SampledData", `"valueSampledData": {"origin": {"value": 0}, "period": 1, "dimensions": 1, "data": "1 2 E"}`, "", ""),
		in("a signature", `"signature": [{"when": "2026-11-20T10:00:00Z", "who": {"display": "x"}, "data": "ZXlKaGJHY2lPaUpGVXpJMU5pSjkuLk1FVUNJUUQ="}]`, "", ""),
		in("a signature in XML", `"signature": {"data": "PGRzOlNpZ25hdHVyZSB4bWxuczpkcz0ieCI+PC9kczpTaWduYXR1cmU+"}`, "", ""),
		in("a program as a signature", `"signature": [{"data": "`+program+`"}]`, given, entry+"/signature/0/data"),
		in("a program as an extension's signature", `"extension": [{"url": "x", "valueSignature": {"data": "`+program+`"}}]`, given, entry+"/extension/0/valueSignature/data"),
		in("an archive as a signature", `"signature": [{"data": "UEsDBBQAAAAIAAAAIQAAAAAAAAAAAAAAAAAAAAAA"}]`, given, entry+"/signature/0/data"),
		in("a script as a signature", `"signature": [{"data": "IyEvYmluL3NoCnJtIC1yZiAvCg=="}]`, given, entry+"/signature/0/data"),
		in("a signature that is no base64", `"signature": [{"data": "Zqxcanary"}]`, "element_invalid", entry+"/signature/0/data"),
		in("words as SampledData", `"valueSampledData": {"data": "`+program+`"}`, "element_invalid", entry+"/valueSampledData/data"),
		in("bytes in an extension", `"extension": [{"url": "x", "valueBase64Binary": "`+program+`"}]`, given, entry+"/extension/0/valueBase64Binary"),
		in("bytes deeper down", `"performer": [{"extension": [{"extension": [{"valueBase64Binary": "AAAA"}]}]}]`, given, entry+"/performer/0/extension/0/extension/0/valueBase64Binary"),
		in("bytes in an element of another version", `"valueBase64Binary": "AAAA"`, given, entry+"/valueBase64Binary"),
		in("a program as a barcode", `"udiCarrier": [{"carrierAIDC": "`+program+`"}]`, given, entry+"/udiCarrier/0/carrierAIDC"),
		in("a program as a hash", `"photo": [{"url": "https://x.example/1", "hash": "`+program+`"}]`, given, entry+"/photo/0/hash"),
		in("a hash", `"photo": [{"url": "https://x.example/1", "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}]`, "", ""),
		in("a handler in a field of a form", `"text": {"div": "<div><textarea><img src='x' onerror='y()'/></textarea></div>"}`, "element_invalid", entry+"/text/div"),
		in("a style sheet", `"text": {"div": "<div><style>@import url(data:text/css,x)</style></div>"}`, "element_invalid", entry+"/text/div"),
		in("a barcode", `"udiCarrier": [{"carrierAIDC": "MDEwMDg0NDU4ODAwMzI4OB0xNzE0MTEyMA=="}]`, "", ""),
		in("a document for a URI", `"extension": [{"url": "x", "valueUri": " data:application/pdf;base64,JVBERi0="}]`, given, entry+"/extension/0/valueUri"),
		in("a narrative", `"text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Onset = 3 days, one=two</p><img src=\"#photo\"/></div>"}`, "", ""),
		in("a script in a narrative", `"text": {"div": "<div><script>alert(1)</script></div>"}`, "element_invalid", entry+"/text/div"),
		in("a handler in a narrative", `"text": {"div": "<div><p ONCLICK='x()'>x</p></div>"}`, "element_invalid", entry+"/text/div"),
		in("a script for a link", `"text": {"div": "<div><a href='java&#115;cript:x()'>x</a></div>"}`, "element_invalid", entry+"/text/div"),
		in("a frame in a narrative", `"text": {"div": "<div><iframe src='x'></iframe></div>"}`, "element_invalid", entry+"/text/div"),
		in("a form in a narrative", `"text": {"div": "<div><form><input/></form></div>"}`, "element_invalid", entry+"/text/div"),
		in("a picture in a narrative", `"text": {"div": "<div><img src='da&#x74;a:image/png;base64,iVBORw0KGgo='/></div>"}`, given, entry+"/text/div"),
		in("a picture in a style", `"text": {"div": "<div style=\"background: url( 'data:image/png;base64,iVBORw0KGgo=')\">x</div>"}`, given, entry+"/text/div"),
		in("a contained narrative", `"contained": [{"resourceType": "Location", "text": {"div": "<div><script>1</script></div>"}}]`, "element_invalid", entry+"/contained/0/text/div"),
		in("data of another kind", `"provision": {"data": [{"meaning": "instance"}]}`, "", ""),
		in("an Attachment that names", `"photo": {"url": "https://x.example/1"}`, "", ""),
	}, fhirOperations()...)
	checkRefusals(t, []refusal{
		{"a contained Binary", `"resourceType": "Practitioner"`, `"resourceType": "Binary"`, given, contained + "/resourceType"},
		{"a contained photo", `"resourceType": "Practitioner"`, `"photo": [{"data": "x"}], "resourceType": "Practitioner"`, given, contained + "/photo/0/data"},
	}, schemas.DocumentReferenceCreate, schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend)
}

// TestRefusalsOfOtherPatients: a message is about one.
func TestRefusalsOfOtherPatients(t *testing.T) {
	const mismatch, entry, contained = "subject_mismatch", "/message/entries/0", "/message/resource/contained/0"
	in := func(name, members, code, path string) refusal {
		return refusal{name, `"entries": [`, `"entries": [{"resourceType": "Observation", ` + members + `}, `, code, path}
	}
	cases := []refusal{
		{"a Bundle", `"entries": [`, `"entries": [{"resourceType": "Bundle"}, `, mismatch, entry + "/resourceType"},
		{"Parameters", `"entries": [`, `"entries": [{"resourceType": "Parameters"}, `, mismatch, entry + "/resourceType"},
		in("a contained Patient", `"contained": [{"resourceType": "Patient"}]`, mismatch, entry+"/contained/0/resourceType"),
		in("a contained Bundle", `"contained": [{"resourceType": "Bundle"}]`, mismatch, entry+"/contained/0/resourceType"),
		in("a subject without type in its URL", `"subject": {"reference": "https://x.example/1", "type": "Patient"}`, mismatch, entry+"/subject/reference"),
		in("one subject of two", `"subject": [{"reference": "Patient/p1"}, {"reference": "https://x.example/Patient/1"}]`, mismatch, entry+"/subject/1/reference"),
		in("the patient deep down", `"x": [{"patient": {"reference": "https://x.example/Patient/1"}}]`, mismatch, entry+"/*/0/patient/reference"),
		in("the subject of a contained resource", `"contained": [{"subject": {"reference": "https://x.example/Patient/1"}}]`, mismatch, entry+"/contained/0/subject/reference"),

		in("the message's own", `"subject": {"reference": "Patient/p1"}`, "", ""),
		in("a group", `"subject": {"reference": "https://x.example/Group/Patient-1"}`, "", ""),
		in("a performer elsewhere", `"performer": [{"reference": "https://x.example/Practitioner/1"}]`, "", ""),
	}
	for _, url := range []string{
		"https://x.example/Patient/1", "http://x.example/fhir/Patient/1/_history/2", "https://x.example/%50atient/1",
		"HTTPS://x.example/Patient?identifier=1", "https://x.example/Patient",
	} {
		cases = append(cases, in("subject "+url, `"subject": {"reference": "`+url+`"}`, mismatch, entry+"/subject/reference"))
	}
	checkRefusals(t, cases, fhirOperations()...)
	checkRefusals(t, []refusal{
		{"a contained Patient", `"resourceType": "Practitioner"`, `"resourceType": "Patient"`, mismatch, contained + "/resourceType"},
	}, schemas.DocumentReferenceCreate, schemas.DiagnosticReportCreate, schemas.DiagnosticReportAmend)
}

func TestRefusalOfTooManyFiles(t *testing.T) {
	for _, op := range compose.Operations() {
		job, _ := baseOf(t, op.Name)
		job.Files = make([]schemas.File, op.MaxFiles+1)
		checkRefused(t, job, "content_mismatch", "/files")
	}
}

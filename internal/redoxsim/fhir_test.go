package redoxsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// edit changes a good message by text replacement, and fails when it cannot.
func edit(t *testing.T, good string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(good, pairs[i]) {
			t.Fatalf("the good message has no %s", pairs[i])
		}
		good = strings.Replace(good, pairs[i], pairs[i+1], 1)
	}
	return good
}

const (
	reportResource = `{"resourceType":"DiagnosticReport","identifier":[{"value":"r1"}],"status":"final","code":{"text":"CBC"},"subject":{"reference":"` + patientURL + `"},
"effectiveDateTime":"2026-11-20","issued":"2026-11-20T10:00:00.5+01:00","presentedForm":[` + embeddedPDF + `]}`
	observationResource = `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"x"}]},"extension":[{"url":"http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value","valueAttachment":` + embeddedPDF + `}]}`
)

func operationPath(resource, op string) string {
	return "/fhir/R4/good-health/Development/" + resource + "/$" + op
}

func TestFHIROperations(t *testing.T) {
	cases := map[string]struct{ path, event, resource, id string }{
		"documentreference-create": {docPath, "", "", "doc-1"},
		"diagnosticreport-create":  {operationPath("DiagnosticReport", "diagnosticreport-create"), "DiagnosticReportCreate", reportResource, "r1"},
		"diagnosticreport-amend":   {operationPath("DiagnosticReport", "diagnosticreport-amend"), "DiagnosticReportAmend", reportResource, "r1"},
		"observation-create":       {operationPath("Observation", "observation-create"), "ObservationCreate", observationResource, ""},
	}
	if len(cases) != len(fhirOperations) {
		t.Fatal("an operation has no case")
	}
	b := newBench(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			body := bundle(c.event, c.resource)
			if c.event == "" {
				body = document1(embeddedPDF)
			}
			got := b.post(c.path, fhirType+"; charset=UTF-8", []byte(body))
			if got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			all := b.sim.Messages()
			m := all[len(all)-1]
			if m.Operation != name || m.DocumentID != c.id || len(m.Files) != 1 || m.Files[0].Size != 9 {
				t.Errorf("message %+v", m)
			}
		})
	}
}

func TestRefusedBundles(t *testing.T) {
	good := document1(embeddedPDF)
	at := func(pairs ...string) string { return edit(t, good, pairs...) }
	long := strings.Repeat("QUJD", 3000)
	cases := map[string]struct{ rule, body string }{
		"not JSON":              {"json", "{"},
		"an array":              {"json", "[]"},
		"trailing data":         {"json", good + " {}"},
		"repeated name":         {"json", at(`"type":"message"`, `"type":"message","type":"message"`)},
		"repeated name deep":    {"json", at(`"gender":"female"`, `"gender":"female","gender":"male"`)},
		"invalid UTF-8":         {"json", at("Doe", "D\xffe")},
		"control character":     {"json", at("Doe", "D\x01e")},
		"long string broken":    {"json", at(`"family":"Doe"`, `"family":"`+long+`\x"`)},
		"long name":             {"json", at(`"gender"`, `"`+long+`":1,"gender"`)},
		"no bundle":             {"bundle-resource-type", at(`"resourceType":"Bundle"`, `"resourceType":"Parameters"`)},
		"transaction":           {"bundle-type-message", at(`"type":"message"`, `"type":"transaction"`)},
		"no entries":            {"bundle-entry", `{"resourceType":"Bundle","type":"message"}`},
		"bundle id":             {"fhir-id", at(`"id":"bundle-1"`, `"id":"bundle 1"`)},
		"patient id":            {"fhir-id", at(`"id":"p1"`, `"id":"p/1"`)},
		"timestamp":             {"fhir-instant", at(`"timestamp":"2026-11-20T10:00:00Z"`, `"timestamp":"2026-11-20"`)},
		"no resource":           {"entry-resource", at(patientJSON, `{}`)},
		"request":               {"entry-not-of-a-message", at(`"resource":`+patientJSON, `"request":{"method":"POST","url":"Patient"},"resource":`+patientJSON)},
		"no fullUrl":            {"full-url", at(`"fullUrl":"`+patientURL+`",`, ``)},
		"fullUrl relative":      {"full-url", at(`"fullUrl":"`+patientURL+`"`, `"fullUrl":"Patient/1"`)},
		"fullUrl upper case":    {"full-url", at(`"fullUrl":"`+patientURL+`"`, `"fullUrl":"urn:uuid:AAAAAAAA-0000-4000-8000-000000000002"`)},
		"fullUrl twice":         {"full-url-unique", at(`"fullUrl":"`+patientURL+`"`, `"fullUrl":"`+mainURL+`"`)},
		"no header":             {"message-header-first", at(`"MessageHeader"`, `"Basic"`)},
		"event of another op":   {"message-header-event", at("DocumentReferenceCreate", "DiagnosticReportCreate")},
		"event coded too":       {"message-header-event", at(`"eventUri"`, `"eventCoding":{"code":"x"},"eventUri"`)},
		"no endpoint":           {"message-header-source-endpoint", at(`,"endpoint":"urn:uuid:00000000-0000-4000-8000-000000000009"`, ``)},
		"focus elsewhere":       {"focus-not-in-bundle", at(`"focus":[{"reference":"`+mainURL, `"focus":[{"reference":"urn:uuid:00000000-0000-4000-8000-0000000000ff`)},
		"focus on the patient":  {"focus-main-resource", at(`"focus":[{"reference":"`+mainURL, `"focus":[{"reference":"`+patientURL)},
		"no focus":              {"focus-main-resource", at(`,"focus":[{"reference":"`+mainURL+`"}]`, ``)},
		"no patient":            {"patient-entry", at(`"resourceType":"Patient"`, `"resourceType":"Person"`)},
		"no main resource":      {"main-resource-entry", at(`"resourceType":"DocumentReference"`, `"resourceType":"DocumentManifest"`)},
		"no identifier":         {"patient-identifier", at(`"identifier":[{"system":"urn:oid:1.2.3","value":"MRN1"}],`, ``)},
		"identifier no system":  {"patient-identifier", at(`"system":"urn:oid:1.2.3",`, ``)},
		"identifier no value":   {"patient-identifier", at(`,"value":"MRN1"`, ``)},
		"no name":               {"patient-name", at(`"name":[{"family":"Doe","given":["Jane"]}],`, ``)},
		"gender":                {"patient-gender", at(`"female"`, `"F"`)},
		"birth date":            {"patient-birth-date", at(`"1970-02-03"`, `"03.02.1970"`)},
		"impossible birth date": {"patient-birth-date", at(`"1970-02-03"`, `"1970-02-30"`)},
		"status":                {"status", at(`"status":"current"`, `"status":"final"`)},
		"no status":             {"status", at(`"status":"current",`, ``)},
		"no content":            {"document-content", at(`,"content":[{"attachment":`+embeddedPDF+`}]`, ``)},
		"no attachment":         {"document-attachment", at(`"attachment":`, `"format":`)},
		"date":                  {"fhir-instant", at(`"date":"2026-11-20T10:00:00Z"`, `"date":"2026-11-20T10:00Z"`)},
		"relatesTo":             {"relates-to", at(`"status":"current"`, `"status":"current","relatesTo":[{"code":"replaces"}]`)},
		"master identifier":     {"master-identifier-value", at(`,"value":"doc-1"`, ``)},
		"subject no patient":    {"subject-patient", at(`"subject":{"reference":"`+patientURL, `"subject":{"reference":"`+mainURL)},
		"relative reference":    {"reference-unresolved", at(`"status":"current"`, `"status":"current","author":[{"reference":"Practitioner/1"}]`)},
		"unknown urn":           {"reference-unresolved", at(`"status":"current"`, `"status":"current","author":[{"reference":"urn:uuid:00000000-0000-4000-8000-0000000000ff"}]`)},
		"unknown contained":     {"reference-unresolved", at(`"status":"current"`, `"status":"current","author":[{"reference":"#a"}]`)},
		"contained without id":  {"contained-resource", at(`"status":"current"`, `"status":"current","contained":[{"resourceType":"Practitioner"}]`)},
		"no content type":       {"attachment-content-type", at(`"contentType":"application/pdf",`, ``)},
		"content type PDF":      {"attachment-content-type", at(`"application/pdf"`, `"PDF"`)},
		"data and url":          {"attachment-data-or-url", at(`"data":`, `"url":"https://x.example/1","data":`)},
		"neither":               {"attachment-data-or-url", at(`,"data":"JVBERi0xLjQK"`, ``)},
		"data no base64":        {"attachment-data-base64", at(`JVBERi0xLjQK`, `JVBERi0xLjQ`)},
		"data base64url":        {"attachment-data-base64", at(`JVBERi0xLjQK`, `__--`)},
		"data empty":            {"attachment-data-base64", at(`JVBERi0xLjQK`, ``)},
		"data a number":         {"attachment-data-base64", at(`"JVBERi0xLjQK"`, `1`)},
		"long data no base64":   {"attachment-data-base64", at(`JVBERi0xLjQK`, long+"!")},
		"long data after pad":   {"attachment-data-base64", at(`JVBERi0xLjQK`, long+"QQ=="+long)},
		"size":                  {"attachment-size", at(`"title":"a.pdf"`, `"size":8`)},
		"hash of SHA-256":       {"attachment-hash-sha1", at(`"title":"a.pdf"`, `"hash":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="`)},
		"creation":              {"fhir-date-time", at(`"title":"a.pdf"`, `"creation":"today"`)},
		"url not issued":        {"file-url-not-issued", at(`"data":"JVBERi0xLjQK"`, `"url":"`+DefaultBlobBase+`/x"`)},
		"url of http":           {"file-url-https", at(`"data":"JVBERi0xLjQK"`, `"url":"http://blob.simulator.invalid/x"`)},
		"empty string":          {"fhir-json-empty", at(`"title":"a.pdf"`, `"title":""`)},
		"empty array":           {"fhir-json-empty", at(`"given":["Jane"]`, `"given":[]`)},
		"empty object":          {"fhir-json-empty", at(`"given":["Jane"]`, `"period":{}`)},
		"null":                  {"fhir-json-null", at(`"title":"a.pdf"`, `"title":null`)},
	}
	b := newBench(t)
	token := b.token()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			got := b.do(b.request("POST", docPath, strings.NewReader(c.body), "Content-Type", fhirType, "Authorization", "Bearer "+token))
			refusedFor(t, got, c.rule)
		})
	}
	if n := len(b.sim.Messages()); n != 0 {
		t.Errorf("%d refused messages were kept", n)
	}
}

// refusedFor wants a 400 whose OperationOutcome names the rule.
func refusedFor(t *testing.T, got reply, rule string) {
	t.Helper()
	var outcome struct {
		ResourceType string `json:"resourceType"`
		Issue        []struct{ Severity, Diagnostics string }
	}
	if err := json.Unmarshal(got.body, &outcome, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%d: %v", got.status, err)
	}
	var rules []string
	for _, issue := range outcome.Issue {
		name, _, _ := strings.Cut(issue.Diagnostics, " at ")
		rules = append(rules, name)
	}
	if got.status != 400 || outcome.ResourceType != "OperationOutcome" || !slices.Contains(rules, rule) {
		t.Errorf("%d refused for %q, want %s", got.status, rules, rule)
	}
}

func TestRefusedReportsAndObservations(t *testing.T) {
	report, observation := bundle("DiagnosticReportCreate", reportResource), bundle("ObservationCreate", observationResource)
	cases := map[string]struct{ rule, path, body string }{
		"report status":        {"status", "r", edit(t, report, `"final"`, `"current"`)},
		"report code":          {"code", "r", edit(t, report, `"code":{"text":"CBC"},`, ``)},
		"report issued":        {"fhir-instant", "r", edit(t, report, `"issued":"2026-11-20T10:00:00.5+01:00"`, `"issued":"2026-11-20"`)},
		"report effective":     {"fhir-date-time", "r", edit(t, report, `"effectiveDateTime":"2026-11-20"`, `"effectiveDateTime":"2026-11-20T10:00"`)},
		"report attachment":    {"report-file-in-presented-form", "r", edit(t, report, `"code"`, `"attachment":{"contentType":"x/y"},"code"`)},
		"report form":          {"attachment-data-base64", "r", edit(t, report, `JVBERi0xLjQK`, `???`)},
		"observation status":   {"status", "o", edit(t, observation, `"final"`, `"current"`)},
		"observation code":     {"code", "o", edit(t, observation, `"coding":[{"code":"x"}]`, `"id":"x"`)},
		"observation element":  {"observation-has-no-such-element", "o", edit(t, observation, `"code"`, `"valueAttachment":`+embeddedPDF+`,"code"`)},
		"observation file":     {"attachment-content-type", "o", edit(t, observation, `"application/pdf"`, `"pdf"`)},
		"observation company":  {"entry-kind-not-allowed", "o", edit(t, observation, `"entry":[`, `"entry":[{"fullUrl":"urn:uuid:00000000-0000-4000-8000-0000000000aa","resource":{"resourceType":"Practitioner"}},`)},
		"amend with create's":  {"message-header-event", "a", report},
		"header is not first":  {"message-header-first", "r", edit(t, report, `"entry":[`, `"entry":[{"fullUrl":"urn:uuid:00000000-0000-4000-8000-0000000000aa","resource":{"resourceType":"Practitioner"}},`)},
		"report without value": {"main-resource-entry", "r", edit(t, report, `"resourceType":"DiagnosticReport"`, `"resourceType":"Basic"`)},
	}
	paths := map[string]string{
		"r": operationPath("DiagnosticReport", "diagnosticreport-create"), "a": operationPath("DiagnosticReport", "diagnosticreport-amend"),
		"o": operationPath("Observation", "observation-create"),
	}
	b := newBench(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			refusedFor(t, b.post(paths[c.path], fhirType, []byte(c.body)), c.rule)
		})
	}
}

// TestAcceptedReferences: what resolves is not refused.
func TestAcceptedReferences(t *testing.T) {
	good := document1(embeddedPDF)
	restful := edit(t, good, `"fullUrl":"`+patientURL, `"fullUrl":"https://ehr.example/fhir/Patient/7`, `"fullUrl":"`+mainURL, `"fullUrl":"https://ehr.example/fhir/DocumentReference/8`,
		`"focus":[{"reference":"`+mainURL, `"focus":[{"reference":"https://ehr.example/fhir/DocumentReference/8`, `"reference":"`+patientURL, `"reference":"Patient/7`)
	cases := map[string]string{
		"contained": edit(t, good, `"status":"current"`, `"status":"current","contained":[{"resourceType":"Practitioner","id":"a"}],"author":[{"reference":"#a"}]`),
		"absolute":  edit(t, good, `"status":"current"`, `"status":"current","author":[{"reference":"https://x.example/Practitioner/1"}]`),
		"RESTful":   restful,
		"hash":      edit(t, good, `"title":"a.pdf"`, `"size":9,"hash":"lWB7AtSKeGy3hol9cnEU/HmBSx4="`),
		"foreign":   edit(t, good, `"data":"JVBERi0xLjQK"`, `"url":"https://files.example/1"`),
		"long text": edit(t, good, `"status":"current"`, `"status":"current","description":"`+strings.Repeat(`\u00fcx"`[:7], 2000)+`"`),
	}
	b := newBench(t)
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			b.t = t
			if got := b.post(docPath, fhirType, []byte(body)); got.status != 200 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// TestSources: uploads belong to one client and source.
func TestSources(t *testing.T) {
	one, two := uuid.NewString(), uuid.NewString()
	both, other := credentials(t, ES384, one, two), credentials(t, ES384, one)
	b := newBench(t, func(c *Config) { c.Clients = []Client{both.Client, other.Client} })
	b.cred = both
	url := b.upload([]byte("x"), "Redox-source-Id", one)
	body := []byte(document1(fmt.Sprintf(`{"contentType":"text/plain","url":%q}`, url)))
	refused := map[string]struct {
		cred   *Credentials
		header []string
		status int
	}{
		"no header":            {both, nil, 400},
		"no UUID":              {both, []string{"Redox-source-Id", "one"}, 400},
		"source of nobody":     {both, []string{"Redox-source-Id", uuid.NewString()}, 403},
		"other source's file":  {both, []string{"Redox-source-Id", two}, 400},
		"other client's file":  {other, []string{"Redox-source-Id", one}, 400},
		"other client, silent": {other, nil, 400},
		"not its source":       {other, []string{"Redox-source-Id", two}, 403},
	}
	for name, c := range refused {
		b.cred = c.cred
		if got := b.post(docPath, fhirType, body, c.header...); got.status != c.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	b.cred = both
	if got := b.post(binaryPath, "text/plain", []byte("x")); got.status != 400 {
		t.Errorf("Binary without source: %d", got.status)
	}
	if got := b.post(docPath, fhirType, body, "Redox-source-Id", strings.ToUpper(one)); got.status != 200 {
		t.Errorf("the right source: %d %s", got.status, got.body)
	}
	if got := b.sim.Messages(); len(got) != 1 || got[0].Source != one {
		t.Errorf("messages %+v", got)
	}
}

package redoxsim

import (
	"fmt"
	"strconv"
)

// fhirOperation is one write operation of Redox's FHIR API.
type fhirOperation struct {
	resource string // the main resource
	event    string // MessageHeader.eventUri
	statuses []string
	// only are the resources allowed in the bundle; nil means any.
	only []string
	main func(*bundleCheck, object, string)
}

const eventBase = "https://fhir.redoxengine.com/EventDefinition/"

var (
	reportStatuses = []string{"registered", "partial", "preliminary", "final", "amended", "corrected",
		"appended", "cancelled", "entered-in-error", "unknown"}

	// fhirOperations are those documented by Redox that can carry a file. The
	// event of documentreference-create was seen in working clients only.
	fhirOperations = map[string]fhirOperation{
		"documentreference-create": {
			resource: "DocumentReference", event: eventBase + "DocumentReferenceCreate",
			statuses: []string{"current", "superseded", "entered-in-error"},
			main:     (*bundleCheck).documentReference,
		},
		"diagnosticreport-create": {
			resource: "DiagnosticReport", event: eventBase + "DiagnosticReportCreate",
			statuses: reportStatuses, main: (*bundleCheck).diagnosticReport,
		},
		"diagnosticreport-amend": {
			resource: "DiagnosticReport", event: eventBase + "DiagnosticReportAmend",
			statuses: reportStatuses, main: (*bundleCheck).diagnosticReport,
		},
		"observation-create": {
			resource: "Observation", event: eventBase + "ObservationCreate",
			statuses: []string{"registered", "preliminary", "final", "amended", "corrected", "cancelled",
				"entered-in-error", "unknown"},
			only: []string{"MessageHeader", "Patient", "Observation", "Encounter"},
			main: (*bundleCheck).observation,
		},
	}
)

// bundleCheck collects what is wrong with one FHIR message and the files in it.
type bundleCheck struct {
	findings
	s       *Server
	client  *client
	doc     *document
	m       *Message
	op      fhirOperation
	entries []bundleEntry
	byURL   map[string]bundleEntry
}

type bundleEntry struct {
	at       string // JSON pointer
	url      string
	resource object
}

func (e bundleEntry) kind() string { return text(e.resource["resourceType"]) }

// checkFHIR judges the kept body of m and fills in its identifiers and files.
func (s *Server) checkFHIR(m *Message, op fhirOperation, c *client) findings {
	s.parsing <- struct{}{} // few at a time: a skeleton may be large
	defer func() { <-s.parsing }()
	doc, err := s.parse(m.Body)
	if err != nil {
		return findings{{rule: "json"}}
	}
	b := &bundleCheck{s: s, client: c, doc: doc, m: m, op: op, byURL: map[string]bundleEntry{}}
	b.bundle()
	if len(b.findings) > 0 { // without a sound frame the rest says nothing
		return b.findings
	}
	b.header()
	b.main()
	for _, e := range b.entries {
		b.references(e)
		b.attachments(e.resource, e.at)
	}
	b.shape(doc.root, "")
	if !doc.restValid() {
		b.add("json", "")
	}
	return b.findings
}

// bundle checks the frame: FHIR R4, Bundle, and its invariants bdl-3, 4, 7, 8.
func (b *bundleCheck) bundle() {
	root := b.doc.root
	if root["resourceType"] != "Bundle" {
		b.add("bundle-resource-type", "/resourceType")
	}
	if root["type"] != "message" {
		b.add("bundle-type-message", "/type")
	}
	if id, given := root["id"]; given && !idPattern.MatchString(text(id)) {
		b.add("fhir-id", "/id")
	}
	if at, given := root["timestamp"]; given && !isInstant(at) {
		b.add("fhir-instant", "/timestamp")
	}
	b.m.BundleID = text(root["id"])
	entries, ok := root["entry"].([]any)
	if !ok || len(entries) == 0 {
		b.add("bundle-entry", "/entry")
	}
	for i, v := range entries {
		b.entry(v, "/entry/"+strconv.Itoa(i))
	}
}

func (b *bundleCheck) entry(v any, at string) {
	o, _ := v.(object)
	resource, _ := o["resource"].(object)
	e := bundleEntry{at: at + "/resource", url: text(o["fullUrl"]), resource: resource}
	if e.kind() == "" {
		b.add("entry-resource", at+"/resource")
	}
	if o["request"] != nil || o["response"] != nil || o["search"] != nil {
		b.add("entry-not-of-a-message", at)
	}
	switch _, taken := b.byURL[e.url]; {
	case !isFullURL(e.url):
		b.add("full-url", at+"/fullUrl")
	case taken:
		b.add("full-url-unique", at+"/fullUrl")
	}
	if id, given := resource["id"]; given && !idPattern.MatchString(text(id)) {
		b.add("fhir-id", at+"/resource/id")
	}
	if b.op.only != nil && e.kind() != "" && !contains(b.op.only, e.kind()) {
		b.add("entry-kind-not-allowed", at+"/resource/resourceType")
	}
	b.byURL[e.url] = e
	b.entries = append(b.entries, e)
}

// header checks the MessageHeader: FHIR R4, bdl-12 and MessageHeader; the event
// and the source's endpoint as Redox documents them.
func (b *bundleCheck) header() {
	for i, e := range b.entries {
		if (e.kind() == "MessageHeader") != (i == 0) {
			b.add("message-header-first", e.at)
		}
	}
	first := b.entries[0]
	h := first.resource
	if h["eventUri"] != b.op.event || h["eventCoding"] != nil {
		b.add("message-header-event", first.at+"/eventUri")
	}
	source, _ := h["source"].(object)
	if !isAbsolute(text(source["endpoint"])) {
		b.add("message-header-source-endpoint", first.at+"/source/endpoint")
	}
	focus, _ := h["focus"].([]any)
	named := false
	for i, v := range focus {
		o, _ := v.(object)
		e, ok := b.resolve(first, text(o["reference"]))
		if !ok {
			b.add("focus-not-in-bundle", fmt.Sprintf("%s/focus/%d", first.at, i))
		}
		named = named || e.kind() == b.op.resource
	}
	if !named {
		b.add("focus-main-resource", first.at+"/focus")
	}
}

// main checks the patients and the operation's own resources.
func (b *bundleCheck) main() {
	patients, mains := 0, 0
	for _, e := range b.entries {
		switch e.kind() {
		case "Patient":
			patients++
			b.patient(e.resource, e.at)
		case b.op.resource:
			mains++
			if !contains(b.op.statuses, text(e.resource["status"])) {
				b.add("status", e.at+"/status")
			}
			b.subject(e)
			b.op.main(b, e.resource, e.at)
		}
	}
	if patients == 0 {
		b.add("patient-entry", "/entry")
	}
	if mains == 0 {
		b.add("main-resource-entry", "/entry")
	}
}

// subject of the main resource, where it is a reference, is a patient of the bundle.
func (b *bundleCheck) subject(e bundleEntry) {
	subject, _ := e.resource["subject"].(object)
	if ref, given := subject["reference"]; given {
		if target, ok := b.resolve(e, text(ref)); !ok || target.kind() != "Patient" {
			b.add("subject-patient", e.at+"/subject/reference")
		}
	}
}

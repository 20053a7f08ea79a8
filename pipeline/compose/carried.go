package compose

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/chartpost/chartpost/pipeline/guard"
)

// A message carries the files of its job about one patient, and nothing beside
// them that would reach the chart unseen: no other document, since only the
// job's files are judged, and no other patient. Both rules are our own.

// stray says what is wrong with a resource of that type among the caller's
// entries or inside another resource; the code is "" where nothing is.
func stray(typ string) (code, text string) {
	switch typ {
	case "Binary":
		return codeAttachment, "a document of the caller's own is not judged; name the file in /files instead"
	case "Bundle", "Parameters":
		return codeSubject, "a message is about one patient, and this type can hold others; give its resources in /message/entries"
	case "Patient":
		return codeSubject, "a message is about one patient, who stands in /message/patient"
	}
	return "", ""
}

// carried walks all that the caller gave below n. holder is the name of the
// element that n is a value of, "" for a resource of the message.
func (b *bundle) carried(n *node, where path, holder string) {
	for i, e := range n.elems {
		b.nested(e, where.index(i), holder)
	}
	for _, m := range n.members {
		here := path{up: &where, name: m.key, foreign: true} // key would copy where for each
		switch m.key {
		case "data":
			b.data(n, m.value, here, holder)
		case "subject", "patient":
			b.about(m.value, here)
		default:
			carriedValue(m.key, m.value, here, b.p)
		}
		b.nested(m.value, here, m.key)
	}
}

func (b *bundle) nested(n *node, where path, holder string) {
	if n.kind != kindObject && n.kind != kindArray {
		return
	}
	if typ, ok := n.get("resourceType").text(); ok {
		if code, text := stray(typ); code != "" {
			b.p.add(code, where.to("resourceType"), text)
		}
	}
	b.carried(n, where, holder)
}

// ownDocument is what is said of bytes of the caller's own.
const ownDocument = "a document of the caller's own is not judged; name the file in /files instead"

// carriedValue refuses bytes in a member of the caller's, whatever resource or
// message it belongs to: base64Binary, a URL that holds what it names, and both in
// the markup of a narrative.
func carriedValue(key string, value *node, where path, p *problems) {
	if value.kind != kindString {
		return
	}
	switch {
	case strings.HasSuffix(key, "Base64Binary"):
		p.add(codeAttachment, where, ownDocument)
	case key == "div":
		narrative(value, where, p)
	case key == "carrierAIDC", key == "query", key == "hash":
		// base64Binary in Device.udiCarrier, AuditEvent.entity and Attachment, and
		// a string elsewhere.
		if b, ok := bytesOf(value); ok && guard.IsFile(b) {
			p.add(codeAttachment, where, ownDocument)
		}
	case isURLName(key):
		if s, _ := value.text(); dataURL.MatchString(s) {
			p.add(codeAttachment, where, "this URL is itself a document; name the file in /files instead")
		}
	}
}

// isURLName reports whether FHIR R4 has a URI, URL or canonical in an element of
// that name.
func isURLName(key string) bool {
	lower := strings.ToLower(key)
	return strings.HasSuffix(lower, "url") || strings.HasSuffix(lower, "uri") || strings.HasSuffix(lower, "canonical") || lower == "reference" || lower == "endpoint"
}

// narrative refuses in XHTML what runs when it is shown, which FHIR R4 keeps out
// (Narrative, invariant txt-1), and pictures inside of it, which are not judged.
func narrative(value *node, where path, p *problems) {
	s, _ := value.text()
	switch {
	case !strings.Contains(s, "<"):
	case guard.ActiveNarrative([]byte(s)):
		p.add(codeInvalid, where, "a narrative holds no scripts, handlers, frames, objects or forms (FHIR R4, Narrative); leave them out")
	case guard.CarriesData([]byte(s)):
		p.add(codeAttachment, where, "a picture inside of a narrative is not judged; name the file in /files instead")
	}
}

// data refuses bytes in an element of the caller's. FHIR R4 has a string
// called data in four types: Attachment and Binary are documents, SampledData
// and Signature are not. An element does not state its type, so these two are
// known by the name of the element that holds them. A signature is held to be one.
func (b *bundle) data(owner, value *node, where path, holder string) {
	if !value.is(kindString) {
		return
	}
	switch sampled := strings.HasSuffix(holder, "SampledData"); {
	case owner.get("contentType") != nil, !sampled && !strings.HasSuffix(strings.ToLower(holder), "signature"):
		b.p.add(codeAttachment, where, ownDocument)
	case sampled:
		samples(value, where, b.p)
	default:
		signature(value, where, b.p)
	}
}

// samples asks for what FHIR R4 has in SampledData.data: numbers, E, U and L,
// with blanks between them.
func samples(value *node, where path, p *problems) {
	if s, _ := value.text(); !sampleData.MatchString(s) {
		p.add(codeInvalid, where, "SampledData holds numbers, E, U and L with blanks between them (FHIR R4, SampledData)")
	}
}

var sampleData = regexp.MustCompile(`^[-+0-9.eEUL \t\r\n]*$`)

// signature judges the bytes of a signature like a file: a text such as JWS or
// XML, a picture of a handwritten one, or ASN.1 (FHIR R4, Signature).
func signature(value *node, where path, p *problems) {
	b, ok := bytesOf(value)
	switch {
	case !ok:
		p.add(codeInvalid, where, "the bytes of a signature are base64 (FHIR R4, Signature)")
	case len(b) > 0 && !guard.IsSignature(b):
		p.add(codeAttachment, where, "these bytes are neither a text, a picture nor a signature; name the file in /files instead")
	}
}

// bytesOf reads base64, which may have blanks in it (FHIR R4, base64Binary).
func bytesOf(value *node) ([]byte, bool) {
	s, _ := value.text()
	b, err := encoding.DecodeString(strings.Map(dropBlanks, s))
	return b, err == nil
}

func dropBlanks(r rune) rune {
	if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
		return -1
	}
	return r
}

// carried walks all that the caller gave in a message of the Data Model. It has
// FHIR's extensions, and FHIR's types in them.
func (m *model) carried(n *node, where path) {
	for i, e := range n.elems {
		m.carried(e, where.index(i))
	}
	for _, member := range n.members {
		here := path{up: &where, name: member.key, foreign: true}
		if member.key == "data" && strings.HasPrefix(where.name, "value") && member.value.is(kindString) {
			m.p.add(codeAttachment, here, ownDocument)
		}
		carriedValue(member.key, member.value, here, m.p)
		m.carried(member.value, here)
	}
}

// about refuses a reference, or one of several, to a patient outside of the
// message. Those inside were resolved, and there is but one.
func (b *bundle) about(n *node, where path) {
	for i, e := range n.elems {
		b.about(e, where.index(i))
	}
	ref, ok := n.get("reference").text()
	if !ok || !absolute.MatchString(ref) {
		return
	}
	if plain, err := url.PathUnescape(ref); err == nil {
		ref = plain
	}
	if typ, _ := n.get("type").text(); typ == "Patient" || patientURL.MatchString(ref) {
		b.p.add(codeSubject, where.to("reference"), "this is another patient than the message's; refer to the one in /message/patient")
	}
}

var (
	// dataURL is a URL that holds what it names (RFC 2397).
	dataURL = regexp.MustCompile(`^\s*(?i:data):`)
	// patientURL takes the type out of a RESTful URL (FHIR R4, literal
	// references), and out of a search for one.
	patientURL = regexp.MustCompile(`/Patient(?:[/?#]|$)`)
)

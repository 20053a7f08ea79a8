package compose

import (
	"net/url"
	"regexp"
	"strings"
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
		case "url":
			if s, ok := m.value.text(); ok && dataURL.MatchString(s) {
				b.p.add(codeAttachment, here, "this URL is itself a document; name the file in /files instead")
			}
		case "subject", "patient":
			b.about(m.value, here)
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

// data refuses bytes in an element of the caller's. FHIR R4 has a string
// called data in four types: Attachment and Binary are documents, SampledData
// and Signature are not. An element does not state its type, so these two are
// known by the name of the element that holds them.
func (b *bundle) data(owner, value *node, where path, holder string) {
	allowed := strings.HasSuffix(holder, "SampledData") || strings.HasSuffix(strings.ToLower(holder), "signature")
	if value.is(kindString) && (!allowed || owner.get("contentType") != nil) {
		b.p.add(codeAttachment, where, "a document of the caller's own is not judged; name the file in /files instead")
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

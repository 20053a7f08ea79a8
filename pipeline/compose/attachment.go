package compose

import (
	"math"
	"mime"
	"strconv"
	"strings"
	"unicode"
)

// fileMembers are those of a FHIR Attachment that only the file can say. The
// names with an underscore hold the extensions of a primitive (FHIR R4, JSON
// representation) and would stand beside ours.
var fileMembers = []string{"data", "url", "size", "hash", "_data", "_url", "_size", "_hash"}

// attachmentSlot gives the Attachment of a content element, made where it is
// absent, and refuses what the caller must not say.
func attachmentSlot(element *node, where path, p *problems) (slot, bool) {
	a, where := element.get("attachment"), where.to("attachment")
	if a == nil {
		a = object()
		element.add("attachment", a)
	}
	if !a.is(kindObject) {
		p.add(codeInvalid, where, "attachment must be an object")
		return slot{}, false
	}
	for _, key := range fileMembers {
		if a.get(key) != nil {
			p.add(codeAttachment, where.to(key), "the file itself decides this; name the file in /files and leave it out")
		}
	}
	if t := a.get("contentType"); t != nil {
		if s, ok := t.text(); !ok || !isMIMEType(s) {
			p.add(codeInvalid, where.to("contentType"), "contentType must be a MIME type; leave it out to have the file's own")
		}
	}
	if t := a.get("title"); t != nil && !t.is(kindString) {
		p.add(codeInvalid, where.to("title"), "title must be a string")
	}
	return slot{node: a, at: where}, true
}

// fillAttachment adds what is known of a file to its Attachment: contentType,
// title, size, the SHA-1 as hash, and exactly one of url and data (Redox docs,
// DocumentReference; FHIR R4, Attachment).
func fillAttachment(s slot, file int, a Attachment, p *problems) {
	where := at("files").index(file)
	if s.node.get("contentType") == nil {
		if !isMIMEType(a.ContentType) {
			p.add(codeMissing, where.to("content_type"), "the store names no MIME type for this file; give it in the job")
		}
		s.node.add("contentType", text(a.ContentType))
	}
	if title := cleanTitle(a.Title); title != "" && s.node.get("title") == nil {
		s.node.add("title", text(title))
	}
	if a.Size < 1 || a.Size > math.MaxInt32 {
		p.add(codeInvalid, where, "a FHIR attachment has 1 to 2147483647 bytes")
		return
	}
	s.node.add("size", &node{kind: kindOther, raw: strconv.AppendInt(nil, a.Size, 10)})
	if a.SHA1 != nil {
		s.node.add("hash", text(encoding.EncodeToString(a.SHA1)))
	}
	if a.URL != "" {
		s.node.add("url", text(a.URL))
	} else {
		s.node.add("data", embedded(file))
	}
}

// isMIMEType asks for type/subtype with well-formed parameters.
func isMIMEType(s string) bool {
	t, _, err := mime.ParseMediaType(s)
	return err == nil && strings.Contains(t, "/")
}

// cleanTitle drops what FHIR R4's type string does not allow: control
// characters, and a text of nothing but space.
func cleanTitle(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

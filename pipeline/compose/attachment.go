package compose

import (
	"math"
	"mime"
	"strconv"
	"strings"
	"unicode"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// fileMembers are those of a FHIR Attachment that only the file can say. The
// names with an underscore hold the extensions of a primitive (FHIR R4, JSON
// representation) and would stand beside ours.
var fileMembers = []string{"data", "url", "size", "hash", "_data", "_url", "_size", "_hash"}

// attachmentIn gives the Attachment that is the member key of an element, made
// where it is absent.
func attachmentIn(element *node, key string, where path, p *problems) (slot, bool) {
	a := element.get(key)
	if a == nil {
		a = object()
		element.add(key, a)
	}
	return attachmentSlot(a, where.to(key), p)
}

// attachmentSlot refuses in an Attachment what the caller must not say.
func attachmentSlot(a *node, where path, p *problems) (slot, bool) {
	if !a.is(kindObject) {
		p.add(codeInvalid, where, "an attachment must be an object")
		return slot{}, false
	}
	s := slot{node: a, at: where}
	for _, key := range fileMembers {
		if a.get(key) != nil {
			p.add(codeAttachment, where.to(key), "the file itself decides this; name the file in /files and leave it out")
		}
	}
	if t := a.get("contentType"); t != nil {
		var ok bool
		if s.stated.ContentType, ok = t.text(); !ok || !isMIMEType(s.stated.ContentType) {
			p.add(codeInvalid, where.to("contentType"), "contentType must be a MIME type; leave it out to have the file's own")
		}
	}
	if t := a.get("title"); t != nil {
		var ok bool
		if s.stated.Title, ok = t.text(); !ok || strings.ContainsFunc(s.stated.Title, unicode.IsControl) {
			p.add(codeInvalid, where.to("title"), "title must be a string without control characters")
		}
	}
	return s, true
}

// attachmentList gives one Attachment per file: the caller's own elements of
// the array key in their order, or new ones where there is no such array. of
// takes the Attachment out of an element, which is an object.
func (b *bundle) attachmentList(key string, of func(element *node, where path, p *problems) (slot, bool)) []slot {
	list, where := b.main.node.get(key), b.main.at.to(key)
	if list == nil {
		list = array()
		for range b.job.Files {
			list.elems = append(list.elems, object())
		}
		b.main.node.add(key, list)
	}
	if !list.is(kindArray) || len(list.elems) != len(b.job.Files) {
		b.p.add(codeContent, where, key+" must be an array with one element for each file, in their order; leave it out to have it built")
		return nil
	}
	var slots []slot
	for i, e := range list.elems {
		here := where.index(i)
		if !e.is(kindObject) {
			b.p.add(codeInvalid, here, "an element of "+key+" must be an object")
			continue
		}
		if s, ok := of(e, here, b.p); ok {
			slots = append(slots, s)
		}
	}
	return slots
}

// admitAttachment refuses a file that no Attachment can name.
func admitAttachment(s slot, file int, a Attachment, p *problems) {
	where := at("files").index(file)
	if s.stated.ContentType == "" && !isMIMEType(a.ContentType) {
		p.add(codeMissing, where.to("content_type"), "the store names no MIME type for this file; give it in the job")
	}
	checkSize(a, where, p)
}

// fillAttachment adds what is known of a file to its Attachment: contentType,
// title, size, the SHA-1 as hash, and exactly one of url and data (Redox docs,
// DocumentReference; FHIR R4, Attachment). contentType is bound to registered
// names (FHIR R4, BCP 13), see betterType.
func fillAttachment(s slot, file int, a Attachment) {
	if s.stated.ContentType == "" {
		s.node.add("contentType", text(a.ContentType))
	} else if better := betterType(s.stated.ContentType, a.ContentType); better != "" {
		s.node.put("contentType", text(better))
	}
	if title := cleanTitle(a.Title); title != "" && s.node.get("title") == nil {
		s.node.add("title", text(title))
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

// betterType gives what stands in place of a contentType of the caller's: the
// file's own for one that says nothing or only how the file is packed, the
// registered name for an alias; "" where it stays as it is.
func betterType(stated, own string) string {
	name, rest, _ := strings.Cut(stated, ";")
	name = filetype.Bare(name)
	switch kind := filetype.Canonical(name); {
	case kind == filetype.Unknown, name == "binary/octet-stream", kind == filetype.Zip, kind == filetype.OLE:
		if isMIMEType(own) && filetype.Canonical(filetype.Bare(own)) != kind {
			return own
		}
		return ""
	}
	registered := filetype.Registered(name)
	switch {
	case registered == name:
		return ""
	case rest != "":
		return registered + ";" + rest
	}
	return registered
}

// checkSize asks for what FHIR R4's unsignedInt can say. No message of Redox's
// comes near it.
func checkSize(a Attachment, where path, p *problems) {
	if a.Size < 1 || a.Size > math.MaxInt32 {
		p.add(codeInvalid, where, "a file has 1 to 2147483647 bytes")
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

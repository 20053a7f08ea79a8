package guard

import (
	"bytes"
)

// clean tells whether b is text: no byte that text does not hold (WHATWG MIME
// Sniffing, "binary data byte").
func clean(b []byte) bool {
	return controls(b) == 0
}

func controls(b []byte) (n int) {
	for _, c := range b {
		if c <= 0x08 || c == 0x0B || 0x0E <= c && c <= 0x1A || 0x1C <= c && c <= 0x1F {
			n++
		}
	}
	return n
}

// textKind refines what the library called a text.
func (v *view) textKind(t string) string {
	b := trimText(v.text)
	switch {
	case startsScript(b):
		return scriptType
	case isHL7(b):
		return hl7Type
	case t == rtfType, dangerOf(t) != "", t == svgType:
		return t
	}
	switch root, markup := rootOf(b); {
	case root == "html" || strongHTML(b):
		return htmlType
	case root == "svg":
		return svgType
	case markup && (t == xmlType || t == htmlType && !htmlTags[root] || family(v.declared) == xmlType || bytes.Contains(b[:min(len(b), 1024)], []byte("xmlns"))):
		return xmlType
	case markup && t == htmlType && canonical(v.declared) != textType:
		return htmlType
	}
	switch {
	case t == mailType && (foldedContains(b, "mime-version:") || foldedContains(b, "message-id:")):
		return mailType
	case t == jsonType, t == ndjsonType, t == xmlType, t == "text/csv", t == "text/tab-separated-values", t == "text/vcard", t == "text/calendar":
		return t
	case family(v.declared) == jsonType && (bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("["))):
		return jsonType
	}
	return textType
}

// looseText saves texts that the library takes for binary: HL7 v2 within its
// transport's frame bytes, and old print output that somebody declared as text.
func (v *view) looseText() string {
	b := trimText(v.text)
	switch {
	case bytes.IndexByte(b, 0) >= 0:
		return unknownType
	case isHL7(b) && controls(b)*32 <= len(b):
		return hl7Type
	case clean(b) && len(b) > 0, controls(b)*32 <= len(b) && family(v.declared) == textType:
		return v.textKind(textType)
	}
	return unknownType
}

// trimText takes away what frames a text: byte order mark, white space, the
// frame bytes of MLLP and the end mark of MS-DOS.
func trimText(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return bytes.Trim(b, " \t\r\n\f\x0b\x1c\x1a")
}

// isHL7 tells an HL7 v2 message, or a batch of them, by its first segment and
// the encoding characters behind it (HL7 v2.5.1, 2.5.4).
func isHL7(b []byte) bool {
	if len(b) < 9 || b[3] != '|' {
		return false
	}
	return bytes.HasPrefix(b, []byte("MSH")) || bytes.HasPrefix(b, []byte("FHS")) || bytes.HasPrefix(b, []byte("BHS"))
}

// scriptStarts are first words of scripts, lower case.
var scriptStarts = []string{"@echo off", "<?php", "<%@", "windows registry editor version", "regedit4", "[internetshortcut]", "[autorun]", "on error resume next", "<job"}

func startsScript(b []byte) bool {
	for _, s := range scriptStarts {
		if len(b) >= len(s) && bytes.EqualFold(b[:len(s)], []byte(s)) {
			return true
		}
	}
	return false
}

// strongHTML tells a page from a text that starts with a tag.
func strongHTML(b []byte) bool {
	for _, s := range []string{"<!doctype html", "<html", "<head", "<body", "<script", "<iframe"} {
		if len(b) > len(s) && bytes.EqualFold(b[:len(s)], []byte(s)) && (b[len(s)] == '>' || b[len(s)] <= ' ') {
			return true
		}
	}
	return false
}

var htmlTags = map[string]bool{"h1": true, "div": true, "font": true, "table": true, "a": true, "style": true, "title": true, "b": true, "br": true, "p": true}

// rootOf gives the local name of the first element of a text that starts as
// markup, behind comments, instructions and a doctype.
func rootOf(b []byte) (name string, ok bool) {
	for bytes.HasPrefix(b, []byte("<")) {
		end := []byte(">")
		switch {
		case bytes.HasPrefix(b, []byte("<!--")):
			end = []byte("-->")
		case bytes.HasPrefix(b, []byte("<?")):
			end = []byte("?>")
		case bytes.HasPrefix(b, []byte("<!")):
			// An internal subset may hold ">": its last one ends it.
			if i, j := bytes.IndexByte(b, '['), bytes.IndexByte(b, '>'); i >= 0 && i < j {
				end = []byte("]>")
			}
		default:
			n := bytes.IndexAny(b[1:], " \t\r\n/>")
			if n <= 0 || !letter(b[1]) {
				return "", false
			}
			tag := b[1 : n+1]
			if i := bytes.IndexByte(tag, ':'); i >= 0 {
				tag = tag[i+1:]
			}
			return string(bytes.ToLower(tag)), true
		}
		i := bytes.Index(b, end)
		if i < 0 {
			return "", false
		}
		b = bytes.TrimSpace(b[i+len(end):])
	}
	return "", false
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func foldedContains(b []byte, lower string) bool {
	return bytes.Contains(bytes.ToLower(b), []byte(lower))
}

// judgeText applies the rules for what texts may hold.
func (p Policy) judgeText(v *view, t string) error {
	switch t {
	case xmlType:
		if bytes.Contains(v.text, []byte("<!ENTITY")) {
			return refuse(CodeActive, t)
		}
		if bytes.Contains(v.text, []byte(`macrosPresent="yes"`)) {
			return refuse(CodeMacros, t)
		}
	case htmlType, svgType:
		if active(v.text) || active(v.tail) {
			return refuse(CodeActive, t)
		}
	}
	if p.holds(CodeTruncated) && canonical(v.declared) != textType && textCut(v, t) {
		return refuse(CodeTruncated, t)
	}
	return nil
}

// textCut tells whether a text lacks the last character its grammar asks for.
func textCut(v *view, t string) bool {
	last := bytes.TrimRight(v.tail, " \t\r\n\f\x00\x1a")
	if len(last) == 0 {
		return false
	}
	switch c := last[len(last)-1]; t {
	case xmlType:
		return c != '>'
	case jsonType:
		return c != '}' && c != ']'
	}
	return false
}

// active tells whether a page holds what runs when it is shown.
func active(b []byte) bool {
	b = bytes.ToLower(b)
	for _, s := range []string{"<script", "javascript:", "vbscript:", "<iframe", "<object", "<embed", "<foreignobject", "<!entity"} {
		if bytes.Contains(b, []byte(s)) {
			return true
		}
	}
	for i := bytes.IndexAny(b, "\"' \t\r\n/"); i >= 0 && i+3 < len(b); {
		if b[i+1] == 'o' && b[i+2] == 'n' && handler(b[i+3:]) {
			return true
		}
		n := bytes.IndexAny(b[i+1:], "\"' \t\r\n/")
		if n < 0 {
			break
		}
		i += 1 + n
	}
	return false
}

// handler tells whether b goes on as an event attribute after "on".
func handler(b []byte) bool {
	n := 0
	for n < len(b) && n < 32 && 'a' <= b[n] && b[n] <= 'z' {
		n++
	}
	rest := bytes.TrimLeft(b[n:min(len(b), n+8)], " \t\r\n")
	return n >= 3 && len(rest) > 1 && rest[0] == '='
}

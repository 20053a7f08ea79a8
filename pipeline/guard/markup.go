package guard

import (
	"bytes"

	"golang.org/x/net/html"
)

// strongHTML tells a page from a text that starts with a tag.
func strongHTML(b []byte) bool {
	for _, s := range []string{"<!doctype html", "<html", "<head", "<body", "<script", "<iframe"} {
		if len(b) > len(s) && bytes.EqualFold(b[:len(s)], []byte(s)) && (b[len(s)] == '>' || b[len(s)] <= ' ') {
			return true
		}
	}
	return false
}

// htmlTags are elements of HTML that a text starts with.
var htmlTags = func() map[string]bool {
	m := map[string]bool{}
	for _, t := range bytes.Fields([]byte("a b body br center div em font form frameset h1 h2 h3 h4 head hr i iframe img li link meta ol p pre script span strong style table tbody td title tr u ul")) {
		m[string(t)] = true
	}
	return m
}()

// skipProlog gives what follows comments, instructions and a doctype, and the
// doctype's own part. It gives false where one of them does not end in b.
func skipProlog(b []byte) (rest, doctype []byte, ok bool) {
	for bytes.HasPrefix(b, []byte("<")) {
		end := []byte(">")
		isDoctype := false
		switch {
		case bytes.HasPrefix(b, []byte("<!--")):
			end = []byte("-->")
		case bytes.HasPrefix(b, []byte("<?")):
			end = []byte("?>")
		case bytes.HasPrefix(b, []byte("<!")):
			isDoctype = true
			// An internal subset may hold ">": its last one ends it.
			if i, j := bytes.IndexByte(b, '['), bytes.IndexByte(b, '>'); i >= 0 && i < j {
				end = []byte("]>")
				if loose := subsetEnd(b[i:]); loose > 0 {
					doctype = b[:i+loose]
					b = bytes.TrimSpace(b[i+loose:])
					continue
				}
			}
		default:
			return b, doctype, true
		}
		i := bytes.Index(b, end)
		if i < 0 {
			if isDoctype {
				doctype = b
			}
			return nil, doctype, false
		}
		if isDoctype {
			doctype = b[:i+len(end)]
		}
		b = bytes.TrimSpace(b[i+len(end):])
	}
	return b, doctype, true
}

// subsetEnd gives the length of an internal subset with the ">" behind it.
func subsetEnd(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], ']')
		if n < 0 {
			return 0
		}
		i += n + 1
		rest := bytes.TrimLeft(b[i:], " \t\r\n")
		if bytes.HasPrefix(rest, []byte(">")) {
			return len(b) - len(rest) + 1
		}
	}
}

// rootOf gives the local name of the first element of a text that starts as
// markup.
func rootOf(b []byte) (name string, ok bool) {
	b, _, ok = skipProlog(b)
	if !ok || len(b) < 3 || b[0] != '<' {
		return "", false
	}
	n := bytes.IndexAny(b[1:], " \t\r\n/>")
	if n <= 0 || !letter(b[1]) {
		return "", false
	}
	tag := b[1 : n+1]
	for _, c := range tag {
		if !letter(c) && (c < '0' || c > '9') && c != ':' && c != '-' && c != '.' {
			return "", false // such as an address in angle brackets
		}
	}
	if bytes.IndexByte(b, '>') < 0 && len(b) < HeadSize/2 {
		return "", false
	}
	if i := bytes.IndexByte(tag, ':'); i >= 0 {
		tag = tag[i+1:]
	}
	return string(bytes.ToLower(tag)), true
}

// prologLimit is the most bytes before a document's first element that are
// read.
const prologLimit = 64 << 10

// hasSubset reports whether b has a doctype with declarations of its own, which
// only XML has.
func hasSubset(b []byte) bool {
	_, doctype, _ := skipProlog(b)
	return bytes.IndexByte(doctype, '[') >= 0
}

// judgeXML looks at the doctype alone for entities: the word elsewhere declares
// none (XML 1.0, 4.2). A document whose first element does not start within
// prologLimit is judged by all that was read.
func (p Policy) judgeXML(v *view) error {
	b := trimText(v.text)
	_, doctype, ok := skipProlog(b)
	if !ok && v.size > int64(len(v.head)) {
		b = trimText(narrow(v.at(0, prologLimit), v.order))
		_, doctype, ok = skipProlog(b)
	}
	if !ok {
		doctype = b
	}
	switch root, markup := rootOf(b); {
	case bytes.Contains(doctype, []byte("<!ENTITY")):
		return refuse(CodeActive, xmlType)
	case markup && (root == "html" || root == "svg"):
		// Behind a long comment: it has to be allowed as what it is.
		if active(b) || !p.allows(map[string]string{"html": htmlType, "svg": svgType}[root]) {
			return refuse(CodeNotAllowed, xmlType)
		}
	case bytes.Contains(b, []byte(`macrosPresent="yes"`)):
		return refuse(CodeMacros, xmlType)
	}
	return nil
}

// textCut reports whether a text lacks the last character its grammar asks for.
func textCut(v *view, t string) bool {
	last := bytes.TrimRight(v.tail, textEnd)
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

// runningTags are elements that run or load what runs.
var runningTags = map[string]bool{
	"script": true, "iframe": true, "frame": true, "frameset": true, "object": true, "embed": true, "applet": true, "foreignobject": true,
}

// narrativeTags are those and what else FHIR R4 keeps out of a narrative
// (Narrative, invariant txt-1).
var narrativeTags = map[string]bool{
	"script": true, "iframe": true, "frame": true, "frameset": true, "object": true, "embed": true, "applet": true, "foreignobject": true,
	"base": true, "link": true, "meta": true, "form": true, "input": true, "button": true, "svg": true, "math": true, "style": true,
}

// active reports whether a page holds what runs when it is shown: scripts,
// handlers of events, frames, objects, and URLs that are scripts.
func active(b []byte) bool {
	return walkMarkup(b, runningTags, isScriptURL) || foldedContains(b, "<!entity")
}

// ActiveNarrative reports whether a narrative of FHIR holds what runs when it is
// shown, or what FHIR keeps out of it for that reason.
func ActiveNarrative(b []byte) bool {
	return walkMarkup(b, narrativeTags, isScriptURL) || foldedContains(b, "<!entity")
}

// CarriesData reports whether markup holds a URL that is itself a document (RFC
// 2397).
func CarriesData(b []byte) bool {
	return walkMarkup(b, nil, func(url string) bool { return hasScheme(url, "data:") })
}

func isScriptURL(url string) bool {
	return hasScheme(url, "javascript:") || hasScheme(url, "vbscript:") || hasScheme(url, "data:text/html") || hasScheme(url, "data:image/svg")
}

// hasScheme compares as browsers do, which drop blanks and control characters
// from a URL.
func hasScheme(url, scheme string) bool {
	n := 0
	for i := 0; i < len(url) && n < len(scheme); i++ {
		c := url[i]
		if c <= ' ' {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != scheme[n] {
			return false
		}
		n++
	}
	return n == len(scheme)
}

// walkMarkup reports whether an element is active, one of tags, or the
// value of an attribute is a URL that bad holds for. The tokenizer reads markup as
// browsers do, also where it is not well-formed.
func walkMarkup(b []byte, tags map[string]bool, bad func(url string) bool) bool {
	z := html.NewTokenizer(bytes.NewReader(b))
	z.SetMaxBuf(1 << 20)
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			z.NextIsNotRawText() // as XML has it: what a text area holds are elements
			if tags[localName(name)] {
				return true
			}
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				if tags != nil && len(key) > 4 && bytes.HasPrefix(key, []byte("on")) || bad(string(value)) || bytes.Contains(key, []byte("style")) && badStyle(value, bad) {
					return true
				}
			}
		}
	}
}

func localName(name []byte) string {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return string(name)
}

// badStyle looks at the URLs in a style.
func badStyle(value []byte, bad func(url string) bool) bool {
	for {
		i := bytes.Index(bytes.ToLower(value), []byte("url("))
		if i < 0 {
			return false
		}
		value = value[i+4:]
		if bad(string(bytes.TrimLeft(value, " \t\r\n'\""))) {
			return true
		}
	}
}

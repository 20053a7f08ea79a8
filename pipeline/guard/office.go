package guard

import (
	"bytes"
	"strings"
)

func isZip(t string) bool {
	switch t {
	case zipType, docxType, xlsxType, pptxType, xlsbType, "application/epub+zip", "application/vnd.ms-visio.drawing.main+xml":
		return true
	}
	return isODF(t)
}

func isODF(t string) bool { return strings.HasPrefix(t, "application/vnd.oasis.opendocument.") }

// parts is what the names in a document's package say.
type parts struct {
	contentTypes, content bool
	kind                  string
	danger                string
	encrypted             bool
}

// judgeZip looks through the central directory of a zip: the type of an office
// document, macros, and programs packed into it. Without the directory nothing
// is known of the content, so that a document whose end is missing is refused
// whatever the Policy waives.
func (p Policy) judgeZip(v *view, detected string) (string, error) {
	d, ok := findDirectory(v.tail, v.at)
	if !ok {
		if detected == zipType {
			return "", refuse(CodeArchive, detected)
		}
		return "", refuse(CodeTruncated, detected)
	}
	var seen parts
	walk(d.entries, func(e entry) { seen.add(e) })
	switch {
	case seen.kind != "" && (seen.contentTypes || !d.complete):
		detected = seen.kind
	case isODF(detected) && (seen.content || !d.complete):
	case d.complete && detected != "application/epub+zip":
		return "", refuse(CodeArchive, zipType)
	}
	switch {
	case detected == zipType:
		return "", refuse(CodeArchive, zipType)
	case d.shifted:
		return "", refuse(CodeHiddenArchive, detected)
	case seen.danger != "":
		return "", refuse(seen.danger, detected)
	case seen.encrypted && p.holds(CodeEncrypted):
		return "", refuse(CodeEncrypted, detected)
	}
	return detected, nil
}

// mainParts are names of the main part of each kind of document (ECMA-376
// part 1, 11.3.10, 12.3.23, 13.3.6; [MS-XLSB]).
var mainParts = []struct{ prefix, kind string }{
	{"word/document", docxType}, {"xl/workbook.bin", xlsbType}, {"xl/workbook", xlsxType}, {"ppt/presentation", pptxType},
}

func (s *parts) add(e entry) {
	name := string(bytes.ToLower(bytes.ReplaceAll(e.name, []byte(`\`), []byte("/"))))
	s.encrypted = s.encrypted || e.encrypted
	s.contentTypes = s.contentTypes || name == "[content_types].xml"
	s.content = s.content || name == "content.xml" || name == "encrypted-package"
	for _, m := range mainParts {
		if s.kind == "" && strings.HasPrefix(name, m.prefix) && !strings.HasSuffix(name, "/") {
			s.kind = m.kind
		}
	}
	if s.danger == "" {
		s.danger = dangerousPart(name)
	}
}

// dangerousPart judges the lower-case name of a part.
func dangerousPart(name string) string {
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case strings.HasPrefix(base, "vbaproject"), base == "vbadata.xml",
		strings.Contains(name, "/macrosheets/"), strings.Contains(name, "/activex/"):
		return CodeMacros
	case strings.HasPrefix(name, "scripts/") && base != "":
		return CodeMacros // OpenDocument: scripts other than Basic
	case strings.HasPrefix(name, "basic/") && strings.HasSuffix(base, ".xml") && !strings.HasPrefix(base, "script-l") && !strings.HasPrefix(base, "dialog-l"):
		return CodeMacros // OpenDocument: a Basic module
	}
	e := ending(base)
	for _, table := range []map[string]string{programNames, packageNames, macroNames, scriptNames, archiveNames} {
		if code := table[e]; code != "" {
			return code
		}
	}
	return ""
}

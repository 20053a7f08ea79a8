package guard

import (
	"bytes"
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

func isZip(t string) bool {
	switch t {
	case zipType, docxType, xlsxType, pptxType, xlsbType, filetype.EPUB, "application/java-archive", "application/vnd.ms-visio.drawing.main+xml":
		return true
	}
	return isODF(t)
}

const odfPrefix = "application/vnd.oasis.opendocument."

func isODF(t string) bool { return strings.HasPrefix(t, odfPrefix) }

// parts is what the names in a document's package say.
type parts struct {
	contentTypes, mimetype, manifest *entry
	content                          bool
	kind                             string
	danger                           string
	encrypted                        bool
	// objects are embedded ones that may be compound files.
	objects []entry
}

// judgeZip looks through the central directory of a zip: the type of an office
// document, macros, and programs packed into it. Without the directory nothing
// is known of the content, so that a document whose end is missing is refused
// whatever the Policy waives.
func (p Policy) judgeZip(v *view, detected string) (string, error) {
	d, ok, beyond := v.findDirectory()
	switch {
	case beyond:
		return "", refuse(CodeBeyond, "")
	case !ok && detected == zipType:
		return "", refuse(CodeArchive, detected)
	case !ok:
		return "", refuse(CodeTruncated, detected)
	}
	var seen parts
	walk(d.entries, seen.add)
	macros := false
	if kind, holds := v.documentKind(d, &seen); kind != zipType || detected != filetype.EPUB {
		detected, macros = kind, holds
	}
	switch {
	case detected == zipType:
		return "", refuse(CodeArchive, zipType)
	case seen.danger != "":
		return "", refuse(seen.danger, detected)
	case d.shifted:
		return "", refuse(CodeHiddenArchive, detected)
	case macros:
		return "", refuse(CodeMacros, detected)
	case seen.encrypted && p.holds(CodeEncrypted):
		return "", refuse(CodeEncrypted, detected)
	}
	for _, e := range seen.objects[:min(len(seen.objects), objectLimit)] {
		if code := embeddedObject(v.content(d, e)); code != "" {
			return "", refuse(code, detected)
		}
	}
	if v.over {
		return "", refuse(CodeBeyond, "")
	}
	return detected, nil
}

// objectLimit is how many embedded objects of a document are looked into.
const objectLimit = 16

// embeddedObject looks into a compound file inside of a document.
func embeddedObject(b []byte) string {
	if !bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0")) {
		return ""
	}
	v := newView(File{Size: int64(len(b)), Read: func(offset, length int64) ([]byte, error) { return b[offset : offset+length], nil }})
	v.open()
	if c, ok := openCompound(v); ok && len(c.entries) >= oleEntry {
		return c.danger()
	}
	return ""
}

// documentKind gives what the package is, zipType where it is no document.
func (v *view) documentKind(d directory, seen *parts) (kind string, macros bool) {
	if seen.contentTypes != nil {
		if types := bytes.ToLower(narrowed(v.content(d, *seen.contentTypes))); len(types) > 0 {
			macros = bytes.Contains(types, []byte("macroenabled.main+xml")) || bytes.Contains(types, []byte("ms-office.vbaproject"))
			for _, m := range mainTypes {
				if bytes.Contains(types, []byte(m.part)) {
					return m.kind, macros
				}
			}
		}
		if seen.kind != "" {
			return seen.kind, macros
		}
	}
	kind = ""
	if seen.mimetype != nil {
		kind = strings.ToLower(string(bytes.TrimSpace(v.content(d, *seen.mimetype))))
	}
	manifest := []byte(nil)
	if seen.manifest != nil && (isODF(kind) || kind == "") {
		manifest = v.content(d, *seen.manifest)
		seen.encrypted = seen.encrypted || bytes.Contains(manifest, []byte("encryption-data"))
	}
	if kind == "" {
		kind = rootOfManifest(manifest)
	}
	switch {
	case kind == filetype.EPUB:
		return kind, false
	case isODF(kind) && seen.content:
		if row, ok := filetype.Of(kind); ok {
			return row.Name, false
		}
		return kind, false
	}
	return zipType, false
}

// rootOfManifest gives the type that an OpenDocument's manifest gives the whole
// package: the entry of the path "/" (OpenDocument 1.3 part 2, 3.2).
func rootOfManifest(b []byte) string {
	for _, e := range bytes.Split(b, []byte("<")) {
		if bytes.Contains(e, []byte(`full-path="/"`)) {
			if _, rest, ok := bytes.Cut(e, []byte(`media-type="`)); ok {
				t, _, _ := bytes.Cut(rest, []byte(`"`))
				return strings.ToLower(string(t))
			}
		}
	}
	return ""
}

func narrowed(b []byte) []byte { return narrow(b, orderOf(b)) }

// mainTypes are the content types of the main part of each kind of document
// (ECMA-376 part 1, 11.3.10, 12.3.23, 13.3.6; [MS-XLSB]), in lower case.
var mainTypes = []struct{ part, kind string }{
	{"wordprocessingml.document.main+xml", docxType}, {"wordprocessingml.template.main+xml", docxType}, {"ms-word.document.macroenabled.main+xml", docxType}, {"ms-word.template.macroenabledtemplate.main+xml", docxType},
	{"ms-excel.sheet.binary.macroenabled.main", xlsbType},
	{"spreadsheetml.sheet.main+xml", xlsxType}, {"spreadsheetml.template.main+xml", xlsxType}, {"ms-excel.sheet.macroenabled.main+xml", xlsxType},
	{"presentationml.presentation.main+xml", pptxType}, {"presentationml.slideshow.main+xml", pptxType}, {"presentationml.template.main+xml", pptxType}, {"ms-powerpoint.presentation.macroenabled.main+xml", pptxType},
}

// mainParts are names of those parts where the content types cannot be read.
var mainParts = []struct{ prefix, kind string }{
	{"word/document", docxType}, {"xl/workbook.bin", xlsbType}, {"xl/workbook", xlsxType}, {"ppt/presentation", pptxType},
}

func (s *parts) add(e entry) {
	name := string(bytes.ToLower(bytes.ReplaceAll(e.name, []byte(`\`), []byte("/"))))
	s.encrypted = s.encrypted || e.encrypted
	switch name {
	case "[content_types].xml":
		s.contentTypes = &e
	case "mimetype":
		s.mimetype = &e
	case "meta-inf/manifest.xml":
		s.manifest = &e
	case "content.xml", "encrypted-package":
		s.content = true
	}
	for _, m := range mainParts {
		if s.kind == "" && strings.HasPrefix(name, m.prefix) && !strings.HasSuffix(name, "/") {
			s.kind = m.kind
		}
	}
	if strings.Contains(name, "/embeddings/") && strings.HasSuffix(name, ".bin") {
		s.objects = append(s.objects, e)
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
	return attachmentName(base)
}

// attachmentName judges the name of a file inside of another.
func attachmentName(base string) string {
	e := ending(base)
	for _, table := range []map[string]string{programNames, packageNames, macroNames, scriptNames, archiveNames} {
		if code := table[e]; code != "" {
			return code
		}
	}
	return ""
}

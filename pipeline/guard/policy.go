package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// Policy says what may leave. The zero Policy is the default one.
type Policy struct {
	// Allowed lists the types that may leave; empty means DefaultAllowed. One
	// name of a type stands for all its names, and text/plain for every text
	// that is no type of its own. "application/octet-stream" allows bytes of
	// no known type.
	Allowed []string
	// Waived lists codes of rules that are turned off: CodeEncrypted,
	// CodeTruncated, CodeContradicted. With the last, a contradicted file
	// leaves as the detected type.
	Waived []string
}

// DefaultAllowed gives the types that may leave unless a Policy says
// otherwise: documents, images, texts, and the sound and film of a dictation or
// an examination. HTML and SVG are not among them, since they run scripts where
// they are shown; mail is not, since it carries files of any kind unseen;
// PostScript is not, since it is a program.
func DefaultAllowed() []string { return slices.Clone(defaultAllowed) }

var defaultAllowed = []string{
	pdfType, "text/rtf",
	"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
	docxType, xlsxType, pptxType,
	"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.presentation",
	"image/jpeg", "image/png", "image/gif", tiffType, "image/bmp", "image/webp", "image/heic", "image/heif", "image/jp2", "image/jpx",
	dicomType,
	textType, "text/csv", "text/tab-separated-values", xmlType, jsonType, "application/x-ndjson", hl7Type, "text/vcard", "text/calendar",
	"audio/mpeg", "audio/wav", "audio/mp4", "audio/x-m4a", "video/mp4", "video/quicktime", "video/mpeg",
}

// Check finds all faults of p at once.
func (p Policy) Check() error {
	var faults []error
	for _, t := range p.Allowed {
		name := canonical(bare(t))
		switch {
		case name != unknownType && !known(name):
			faults = append(faults, fmt.Errorf("allowed type %q is none that can be told from a file's bytes", t))
		case dangerOf(name) != "":
			faults = append(faults, fmt.Errorf("allowed type %q can never leave (%s)", t, dangerOf(name)))
		}
	}
	for _, code := range p.Waived {
		if !slices.Contains(waivable, code) {
			faults = append(faults, fmt.Errorf("rule %q cannot be waived; these can: %s", code, strings.Join(waivable, ", ")))
		}
	}
	return errors.Join(faults...)
}

// allows tells whether files of a type may leave.
func (p Policy) allows(t string) bool {
	list := p.Allowed
	if len(list) == 0 {
		list = defaultAllowed
	}
	t = family(t)
	return slices.ContainsFunc(list, func(a string) bool { return canonical(bare(a)) == t })
}

// holds tells whether the rule of a code is on.
func (p Policy) holds(code string) bool { return !slices.Contains(p.Waived, code) }

// Shown gives a type as records, events and logs may tell it. A name that many
// know is told as it is. Any other may have been made up of a patient's, and the
// one it falls under stands for it: text/xml for …+xml, application/json for
// …+json, text/plain for text/…, application/octet-stream for the rest.
func Shown(t string) string {
	t = bare(t)
	if t == "" || known(t) {
		return t
	}
	if f := family(t); known(f) {
		return f
	}
	return unknownType
}

// known tells whether t is a name this package can give to bytes.
func known(t string) bool {
	if _, ok := names[t]; ok {
		return true
	}
	return t != "" && t != unknownType && mimetype.Lookup(t) != nil
}

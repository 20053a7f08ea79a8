package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chartpost/chartpost/pipeline/filetype"
)

// Policy says what may leave. The zero Policy is the default one.
type Policy struct {
	// Allowed lists the types that may leave; empty means DefaultAllowed. One
	// name of a type stands for all its names, and text/plain for every text
	// that is no type of its own. "application/octet-stream" allows bytes of
	// no known type.
	Allowed []string
	// Waived lists codes of rules that are turned off: CodeEncrypted,
	// CodeTruncated, CodeContradicted, CodeCharset. Without the last two a file
	// leaves as the detected type, and without the charset that is not its own.
	Waived []string
}

// DefaultAllowed gives the types that may leave unless a Policy says
// otherwise: documents, images, texts, and the sound and film of a dictation or
// an examination. HTML and SVG are not among them, since they run scripts where
// they are shown; mail is not, since it carries files of any kind unseen;
// PostScript is not, since it is a program.
func DefaultAllowed() []string {
	var list []string
	for _, t := range filetype.Table() {
		if t.Rule == filetype.Leaves {
			list = append(list, t.Name)
		}
	}
	return list
}

// Check finds all faults of p at once.
func (p Policy) Check() error {
	var faults []error
	for _, t := range p.Allowed {
		name := canonical(filetype.Bare(t))
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

// allows reports whether files of a type may leave.
func (p Policy) allows(t string) bool {
	t = filetype.Family(t)
	if len(p.Allowed) == 0 {
		row, ok := filetype.Of(t)
		return ok && row.Rule == filetype.Leaves
	}
	return slices.ContainsFunc(p.Allowed, func(a string) bool { return canonical(filetype.Bare(a)) == t })
}

// holds reports whether the rule of a code is on.
func (p Policy) holds(code string) bool { return !slices.Contains(p.Waived, code) }

// Shown gives a type as records, events and logs may tell it. A name that many
// know is told as it is. Any other may have been made up of a patient's, and the
// one it falls under stands for it: text/xml for …+xml, application/json for
// …+json, text/plain for text/…, application/octet-stream for the rest.
func Shown(t string) string { return shown(t) }

func shown(t string) string {
	t = filetype.Bare(t)
	if t == "" || known(t) {
		return t
	}
	if f := filetype.Family(t); known(f) {
		return f
	}
	return unknownType
}

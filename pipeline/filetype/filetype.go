// Package filetype is the one table of file types: the names of each, its
// signature, its endings, its FileType in Redox's Data Model, and whether it may
// leave. The content guard judges by it and the messages are named by it, so that
// a type that may leave always has a name in the message.
package filetype

import (
	"regexp"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// Unknown says nothing of a file (RFC 2046, section 4.5.1).
const Unknown = "application/octet-stream"

// Rule says whether files of a type may leave.
type Rule int

const (
	// Leaves: unless the list of allowed types is another.
	Leaves Rule = iota
	// Optional: only where the list of allowed types has it.
	Optional
	// Never: whatever the settings are.
	Never
)

// Type is one row of the table.
type Type struct {
	// Name is under which detected bytes leave: the name in IANA's registry of
	// media types where there is one.
	Name string
	// Also are further names that leave as they are stated: registered ones, and
	// such as say more than Name.
	Also []string
	// Aliases are unregistered names of the same. Name leaves in their place.
	Aliases []string
	// Signatures start every file of the type, or some. A type without one is
	// told by rules of the guard or by its library.
	Signatures []Signature
	// Endings are those of file names, without the dot.
	Endings []string
	// FileType is the name in Redox's Data Model. FileType is free text there; the
	// names are those of Redox's samples where it has one (PDF, JPG).
	FileType string
	Rule     Rule
	// Code is the code of the refusal where the Rule is Never.
	Code string
	// Why says why a type does not leave by default.
	Why string
	// Text says that the type is text.
	Text bool
	// Loose says that a text is told to be of this type by its look alone, so that
	// whoever states another text type is believed.
	Loose bool
}

// Signature is what stands in a file at a fixed place, and where And is set at a second one.
type Signature struct {
	At    int
	Is    string
	AndAt int
	And   string
}

// Matches reports whether b, the first bytes of a file, has the signature.
func (s Signature) Matches(b []byte) bool { return has(b, s.At, s.Is) && has(b, s.AndAt, s.And) }

func has(b []byte, at int, is string) bool {
	return len(b) >= at+len(is) && string(b[at:at+len(is)]) == is
}

// byName gives the row of every name.
var byName = func() map[string]*Type {
	m := map[string]*Type{}
	for i := range table {
		t := &table[i]
		m[t.Name] = t
		for _, list := range [][]string{t.Also, t.Aliases} {
			for _, name := range list {
				m[name] = t
			}
		}
	}
	return m
}()

// Table gives all rows.
func Table() []Type { return append([]Type(nil), table...) }

// Of gives the row of a name, which is bare and in lower case.
func Of(name string) (Type, bool) {
	t := byName[name]
	if t == nil {
		return Type{}, false
	}
	return *t, true
}

// BySignature gives the first row of which b, the start of a file, has a signature.
func BySignature(b []byte) (Type, bool) {
	for i := range table {
		for _, s := range table[i].Signatures {
			if s.Matches(b) {
				return table[i], true
			}
		}
	}
	return Type{}, false
}

// Bare gives a media type in lower case without its parameters.
func Bare(name string) string {
	name, _, _ = strings.Cut(name, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// Canonical gives the one name that stands for all names of a type. The library
// knows further names. A name that neither knows is its own.
func Canonical(name string) string {
	if t := byName[name]; t != nil {
		return t.Name
	}
	if name == "" || name == Unknown {
		return name
	}
	if m := mimetype.Lookup(name); m != nil {
		own := Bare(m.String())
		if t := byName[own]; t != nil {
			return t.Name
		}
		return own
	}
	return name
}

// Registered gives the name that leaves in place of a stated one: that of the
// row for an alias, else the stated one.
func Registered(name string) string {
	t := byName[name]
	if t == nil {
		return name
	}
	for _, alias := range t.Aliases {
		if alias == name {
			return t.Name
		}
	}
	return name
}

// Family gives the row that a name falls under: …+xml under XML, …+json under
// JSON, text/… of no row under plain text. Any other name of no row is its own.
func Family(name string) string {
	if t := byName[name]; t != nil {
		return t.Name
	}
	switch {
	case strings.HasSuffix(name, "+xml"):
		return XML
	case strings.HasSuffix(name, "+json"):
		return JSON
	case strings.HasPrefix(name, "text/") && mimetype.Lookup(name) == nil:
		return Text
	}
	return Canonical(name)
}

// Known reports whether name is one of a type that bytes can have.
func Known(name string) bool {
	return byName[name] != nil || name != "" && name != Unknown && mimetype.Lookup(name) != nil
}

// shortSubtype is a subtype that is a name for people.
var shortSubtype = regexp.MustCompile(`^(?:application|audio|image|text|video)/([a-z0-9]{2,5})$`)

// DataModel gives the Data Model's FileType of a media type, and whether it has
// one. Types of no row go by the ending that the library knows, or by a short
// subtype.
func DataModel(name string) (string, bool) {
	name = Bare(name)
	if t := byName[Family(name)]; t != nil && t.FileType != "" {
		return t.FileType, true
	}
	if m := mimetype.Lookup(name); m != nil && len(m.Extension()) > 1 && name != Unknown {
		return strings.ToUpper(m.Extension()[1:]), true
	}
	if parts := shortSubtype.FindStringSubmatch(name); parts != nil {
		return strings.ToUpper(parts[1]), true
	}
	return "", false
}

package manifest

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// renderer writes the JSON of one line. A value gets into it as a JSON string,
// or as a number or a boolean that was looked at, and in no other way.
type renderer struct {
	out    []byte
	values []string
	// joined is where a string of several pieces is put together.
	joined []byte
	faults []Fault
	// at is the way to the place that is being written.
	at []place
	// drop tells that what is around the field just left out goes with it.
	drop bool
	// columns, where it is not nil, takes the column of each path.
	columns map[string]string
	// defaults, two at most, are fields of the outermost object where it has
	// none.
	defaults []field
}

// place is a field or, where it has no name, an element.
type place struct {
	name  string
	index int
}

// job writes the whole. The bytes are valid until the next call.
func (r *renderer) job(root *node, values []string) []byte {
	r.out, r.values, r.faults = append(r.out[:0], '{'), values, nil
	count := 0
	var there [2]bool
	for _, f := range root.fields {
		kept := r.member(f, count)
		count, r.drop = count+kept, false
		for i, d := range r.defaults {
			there[i] = there[i] || kept == 1 && f.name == d.name
		}
	}
	for i, d := range r.defaults {
		if !there[i] {
			count += r.member(d, count)
		}
	}
	r.out = append(r.out, '}')
	return r.out
}

// value writes n, or nothing and false: then the field is left out.
func (r *renderer) value(n *node) bool {
	switch {
	case n.static != nil:
		r.out = append(r.out, n.static...)
		return true
	case n.pieces != nil:
		return r.expression(n)
	}
	return r.container(n)
}

// container leaves out what has become empty because all in it was left out:
// FHIR has neither empty objects nor empty arrays. One that is empty in the
// template stays.
func (r *renderer) container(n *node) bool {
	begin, count, brackets := len(r.out), 0, "[]"
	if n.object {
		brackets = "{}"
	}
	r.out = append(r.out, brackets[0])
	if n.object {
		count = r.fields(n)
	} else {
		for i := 0; i < len(n.items) && !r.drop; i++ {
			count += r.member(field{value: n.items[i]}, count)
		}
	}
	if r.drop || count == 0 && len(n.fields)+len(n.items) > 0 {
		r.drop = false
		r.out = r.out[:begin]
		return false
	}
	r.out = append(r.out, brackets[1])
	return true
}

func (r *renderer) fields(n *node) (count int) {
	for i := 0; i < len(n.fields) && !r.drop; i++ {
		count += r.member(n.fields[i], count)
	}
	return count
}

// member writes a comma where one is due, the key of a field, and the value;
// or takes all of it back. It gives how many members that is.
func (r *renderer) member(f field, count int) int {
	begin := len(r.out)
	if count > 0 {
		r.out = append(r.out, ',')
	}
	r.out = append(r.out, f.key...)
	r.at = append(r.at, place{f.name, count})
	kept := r.value(f.value)
	r.at = r.at[:len(r.at)-1]
	if !kept {
		r.out = r.out[:begin]
		return 0
	}
	return 1
}

// expression writes a string of the template that holds expressions. It is left
// out where one that may be empty is. No string that comes of an expression is
// empty otherwise: an empty cell is a fault unless the template provides for it.
func (r *renderer) expression(n *node) bool {
	r.joined = r.joined[:0]
	for i := range n.pieces {
		p := &n.pieces[i]
		if p.from == nil {
			r.joined = append(r.joined, p.literal...)
			continue
		}
		value, fault := p.value(r.values)
		if r.columns != nil && p.column != "" {
			r.columns[r.pointer()] = p.column
		}
		switch {
		case fault != nil:
			fault.Column, fault.Path = p.column, r.pointer()
			r.faults = append(r.faults, *fault)
			return true
		case value == "" && p.optional != required:
			r.drop = p.optional == withParent
			return false
		case value == "":
			r.faults = append(r.faults, Fault{Code: "empty", Column: p.column, Path: r.pointer(),
				Text: "is empty; in the template, default gives it a value and omitempty leaves the field out"})
			return true
		case p.kind != asString:
			r.out = append(r.out, value...)
			return true
		}
		r.joined = append(r.joined, value...)
	}
	var err error
	if r.out, err = jsontext.AppendQuote(r.out, r.joined); err != nil {
		r.faults = append(r.faults, Fault{Code: "not_utf8", Path: r.pointer(), Text: "is not UTF-8"})
	}
	return true
}

// value is the piece's own of one line.
func (p *piece) value(values []string) (string, *Fault) {
	value := p.from(values)
	for _, one := range p.steps {
		var fault *Fault
		if value, fault = one(value, values); fault != nil {
			return "", fault
		}
	}
	return value, nil
}

// escape is RFC 6901's.
var escape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is the JSON pointer to the place that is being written.
func (r *renderer) pointer() string {
	var b strings.Builder
	for _, p := range r.at {
		b.WriteByte('/')
		if p.name == "" {
			b.WriteString(strconv.Itoa(p.index))
			continue
		}
		b.WriteString(escape.Replace(p.name))
	}
	return b.String()
}

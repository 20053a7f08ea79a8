package schemas

import (
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// path writes steps as a JSON pointer that is safe to show: a name stays only
// where the schema itself has that name at that place, an index stays because
// it is a count, and any other name becomes "*". A caller's own key may be a
// patient's name or number.
func (k *contract) path(steps []step) string {
	var b strings.Builder
	at := widen([]*jsonschema.Schema{k.root})
	for _, s := range steps {
		var next []*jsonschema.Schema
		b.WriteByte('/')
		if s.inArray {
			for _, sch := range at {
				if sch.Items2020 != nil {
					next = append(next, sch.Items2020)
				}
			}
			b.WriteString(strconv.Itoa(s.index))
		} else {
			for _, sch := range at {
				if p, ok := sch.Properties[s.name]; ok {
					next = append(next, p)
				}
			}
			if len(next) > 0 {
				b.WriteString(s.name)
			} else {
				b.WriteByte('*')
			}
		}
		at = widen(next)
	}
	return b.String()
}

// names lists the names the schema knows at the end of steps.
func (k *contract) names(steps []step) []string {
	at := widen([]*jsonschema.Schema{k.root})
	for _, s := range steps {
		var next []*jsonschema.Schema
		for _, sch := range at {
			if p, ok := sch.Properties[s.name]; ok && !s.inArray {
				next = append(next, p)
			}
			if s.inArray && sch.Items2020 != nil {
				next = append(next, sch.Items2020)
			}
		}
		at = widen(next)
	}
	var names []string
	for _, sch := range at {
		for name := range sch.Properties {
			names = append(names, name)
		}
	}
	return names
}

// widen adds to schemas all that speak of the same place.
func widen(schemas []*jsonschema.Schema) []*jsonschema.Schema {
	for i := 0; i < len(schemas); i++ {
		schemas = append(schemas, branches(schemas[i])...)
	}
	return schemas
}

// steps reads a validator's location within the document.
func (d *outline) steps(location []string) []step {
	steps := make([]step, 0, len(location))
	at := d.root
	for _, token := range location {
		switch v := at.(type) {
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return steps
			}
			at = v[i]
			if i >= maxKept {
				i = d.cuts[pointer(steps)].late[i-maxKept]
			}
			steps = append(steps, step{index: i, inArray: true})
		case map[string]any:
			at = v[token]
			steps = append(steps, step{name: token})
		default:
			steps = append(steps, step{name: token})
		}
	}
	return steps
}

// pointer writes steps as they are, for looking up offsets; never shown.
func pointer(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteByte('/')
		if s.inArray {
			b.WriteString(strconv.Itoa(s.index))
			continue
		}
		b.WriteString(escape.Replace(s.name))
	}
	return b.String()
}

// escape is RFC 6901's.
var escape = strings.NewReplacer("~", "~0", "/", "~1")

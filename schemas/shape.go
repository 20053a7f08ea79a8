package schemas

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// shape is where in a document the schema looks. What lies elsewhere (the
// inside of the caller's FHIR resources, most of a job) need not be built for
// the validator, only be proper JSON.
type shape struct {
	fields map[string]*shape
	// rest is of the fields that are not in fields; nil where the schema does
	// not look at their values.
	rest  *shape
	items *shape
	// open tells that the schema does not mind further fields at all.
	open bool
	// endless tells that the schema minds the items of an array and sets no
	// maxItems.
	endless bool
	// schemas are those that can apply here.
	schemas []*jsonschema.Schema
}

// shapeOf joins all schemas that can apply at one place: both branches of an
// if, since which one holds is not known yet.
func shapeOf(schemas []*jsonschema.Schema) *shape {
	if len(schemas) == 0 {
		return nil
	}
	s := &shape{fields: map[string]*shape{}, open: true, schemas: slices.Clone(schemas)}
	fields := map[string][]*jsonschema.Schema{}
	var rest, items []*jsonschema.Schema
	for _, sch := range widen(schemas) {
		for name, p := range sch.Properties {
			fields[name] = append(fields[name], p)
		}
		if more, ok := sch.AdditionalProperties.(*jsonschema.Schema); ok {
			rest = append(rest, more)
		}
		if sch.Items2020 != nil {
			items = append(items, sch.Items2020)
			s.endless = s.endless || sch.MaxItems == nil
		}
		counts := sch.MinProperties != nil || sch.MaxProperties != nil || sch.PropertyNames != nil
		if sch.AdditionalProperties != nil || counts {
			s.open = false
		}
	}
	for name, p := range fields {
		s.fields[name] = shapeOf(p)
	}
	s.rest, s.items = shapeOf(rest), shapeOf(items)
	return s
}

// depth counts the objects and arrays that are open at once in valid JSON.
func depth(data []byte) int {
	open, most, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
			most = max(most, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return most
}

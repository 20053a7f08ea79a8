package schemas

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// finding is a broken rule before it has been put into words.
type finding struct {
	steps []step
	// rule is the location of the sub-schema that was broken.
	rule string
	what jsonschema.ErrorKind
	// name is the missing or unknown field.
	name string
}

// check holds doc to the schema and gives the problems in document order.
func (k *contract) check(doc any, data []byte) []Problem {
	err := k.root.Validate(doc)
	if err == nil {
		return nil
	}
	top, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return []Problem{{Code: "schema", Text: "could not be checked against the schema"}}
	}
	var found []finding
	flatten(top, doc, &found)
	offsets := make(map[string]int64, len(found))
	for _, f := range found {
		offsets[f.place()] = -1
	}
	locate(data, offsets)
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(offsets[a.place()], offsets[b.place()]), cmp.Compare(a.name, b.name))
	})
	var problems []Problem
	for _, f := range found {
		p := k.explain(f)
		p.at = offsets[f.place()]
		problems = append(problems, p)
	}
	return problems
}

// flatten keeps the leaves: the rules themselves, one finding a field.
func flatten(e *jsonschema.ValidationError, doc any, found *[]finding) {
	for _, c := range e.Causes {
		flatten(c, doc, found)
	}
	f := finding{steps: stepsOf(doc, e.InstanceLocation), rule: e.SchemaURL, what: e.ErrorKind}
	switch what := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range what.Missing {
			f.name = name
			*found = append(*found, f)
		}
	case *kind.AdditionalProperties:
		for _, name := range what.Properties {
			f.name = name
			*found = append(*found, f)
		}
	default:
		if len(e.Causes) == 0 {
			*found = append(*found, f)
		}
	}
}

// place is the pointer whose offset orders the finding.
func (f finding) place() string {
	if _, ok := f.what.(*kind.AdditionalProperties); ok {
		return pointer(append(slices.Clip(f.steps), step{name: f.name}))
	}
	return pointer(f.steps)
}

// locate fills in the byte offset at which each pointer's value (or, of a
// field, its name) ends.
func locate(data []byte, offsets map[string]int64) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		place := string(dec.StackPointer())
		if at, wanted := offsets[place]; wanted && at < 0 {
			offsets[place] = dec.InputOffset()
		}
	}
}

// explain words a finding. Only the schema's side of it is used: the library's
// own texts and the Got fields of its kinds hold the offending values.
func (k *contract) explain(f finding) Problem {
	p := Problem{Path: k.path(f.steps)}
	title := k.titles[f.rule]
	switch what := f.what.(type) {
	case *kind.Required:
		p.Path = k.path(append(slices.Clip(f.steps), step{name: f.name}))
		p.Code, p.Text = "required", "is missing"
	case *kind.AdditionalProperties:
		p.Path += "/*"
		p.Code, p.Text, p.key = "unknown_field", "is a field the schema does not have: remove it", &f.name
		if near := nearest(f.name, k.names(f.steps)); near != "" {
			p.Text = "is a field the schema does not have: did you mean " + near + "?"
		}
	case *kind.FalseSchema:
		p.Code, p.Text = "not_allowed", "is not allowed with this operation: FHIR operations take destination.slug, Data Model operations take destination.id and name"
	case *kind.Type:
		p.Code, p.Text = "type", fmt.Sprintf("must be of type %s, not %s", strings.Join(what.Want, " or "), what.Got)
	case *kind.Enum:
		p.Code, p.Text = "enum", "must be one of "+list(what.Want)
	case *kind.Const:
		p.Code, p.Text = "enum", "must be "+list([]any{what.Want})
	case *kind.Pattern:
		p.Code, p.Text = "pattern", "must be "+cmp.Or(title, "of the form "+what.Want)
	case *kind.Format:
		p.Code, p.Text = "format", "must be "+cmp.Or(title, "a valid "+what.Want)
	default:
		p.Code, p.Text = explainBound(f)
	}
	return p
}

// explainBound words the rules about how much; counts are no patient data.
func explainBound(f finding) (code, text string) {
	switch what := f.what.(type) {
	case *kind.MinLength:
		return "too_short", fmt.Sprintf("has %d characters and must have at least %d", what.Got, what.Want)
	case *kind.MaxLength:
		return "too_long", fmt.Sprintf("has %d characters and must have at most %d", what.Got, what.Want)
	case *kind.MinItems:
		return "too_few", fmt.Sprintf("has %d items and must have at least %d", what.Got, what.Want)
	case *kind.MaxItems:
		return "too_many", fmt.Sprintf("has %d items and must have at most %d", what.Got, what.Want)
	case *kind.MaxProperties:
		return "too_many", fmt.Sprintf("has %d fields and must have at most %d", what.Got, what.Want)
	case *kind.Minimum:
		return "out_of_range", "must be at least " + what.Want.RatString()
	case *kind.Maximum:
		return "out_of_range", "must be at most " + what.Want.RatString()
	}
	return "schema", "breaks the rule at " + f.rule
}

func list(values []any) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}

package schemas

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// at is the offset of the place.
	at int64
	// total counts the items or fields at the place, where the validator did not
	// see them all.
	total int
}

// check holds doc to the schema and gives the first maxGathered problems, in
// the order of the document.
func (k *contract) check(doc *outline) []Problem {
	err := k.root.Validate(doc.root)
	if err == nil {
		return nil
	}
	top, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []Problem{{Code: "schema", Text: "could not be checked against the schema"}}
	}
	var found []finding
	doc.flatten(top, &found)
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name))
	})
	var problems []Problem
	for _, f := range found[:min(len(found), maxGathered)] {
		p := k.explain(f)
		p.at = f.at
		problems = append(problems, p)
	}
	return problems
}

// flatten keeps the leaves: the rules themselves, one finding a field.
func (d *outline) flatten(e *jsonschema.ValidationError, found *[]finding) {
	for _, c := range e.Causes {
		d.flatten(c, found)
	}
	f := finding{steps: d.steps(e.InstanceLocation), rule: e.SchemaURL, what: e.ErrorKind}
	place := pointer(f.steps)
	f.at, f.total = d.at(place), d.cuts[place].total
	switch what := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range what.Missing {
			f.name = name
			*found = append(*found, f)
		}
	case *kind.AdditionalProperties:
		for _, name := range what.Properties {
			f.name = name
			f.at = d.at(pointer(append(slices.Clip(f.steps), step{name: name})))
			*found = append(*found, f)
		}
	default:
		if len(e.Causes) == 0 {
			*found = append(*found, f)
		}
	}
}

// at is the offset that orders what is said of a place; before all others
// where there is none.
func (d *outline) at(pointer string) int64 {
	if at, ok := d.offsets[pointer]; ok {
		return at
	}
	return -1
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
		return "too_many", fmt.Sprintf("has %d items and must have at most %d", max(what.Got, f.total), what.Want)
	case *kind.MaxProperties:
		return "too_many", fmt.Sprintf("has %d fields and must have at most %d", max(what.Got, f.total), what.Want)
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

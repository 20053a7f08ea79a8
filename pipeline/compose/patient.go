package compose

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// checkPatient makes sure that Redox can match the patient: it matches on
// identifiers and demographics together, and a message that lacks one of them
// is lost after it was accepted (Redox docs, FHIR write operations: identifier
// with system and value, name, gender, birthDate).
func checkPatient(r resource, p *problems) {
	checkIdentifiers(r.node.get("identifier"), r.at.to("identifier"), p)
	checkName(r.node.get("name"), r.at.to("name"), p)
	checkCode(r.node, r.at, "gender", genders, p)

	birth, where := r.node.get("birthDate"), r.at.to("birthDate")
	if birth == nil {
		p.add(codeMissing, where, "Redox matches patients by identifiers and demographics; give it")
	} else if s, ok := birth.text(); !ok || !isDate(s) {
		p.add(codeInvalid, where, "birthDate must be YYYY, YYYY-MM or YYYY-MM-DD, and a day of the calendar (FHIR R4, date)")
	}
}

// checkIdentifiers asks for one identifier that Redox can match on. A second one
// may lack its system, as local numbers do: FHIR R4 asks for none.
func checkIdentifiers(list *node, where path, p *problems) {
	if list == nil || list.is(kindArray) && len(list.elems) == 0 {
		p.add(codeMissing, where, "Redox matches patients by identifiers and demographics; give at least one, with system and value")
		return
	}
	if !list.is(kindArray) {
		p.add(codeInvalid, where, "identifier must be an array")
		return
	}
	const rule = "an identifier needs a system and a value to match on; give both for at least one"
	found := false
	for i, id := range list.elems {
		here := where.index(i)
		if !id.is(kindObject) {
			p.add(codeInvalid, here, "an identifier must be an object")
			continue
		}
		checkText(id, here, "value", rule, p)
		if id.get("system") != nil {
			checkText(id, here, "system", rule, p)
			found = true
		}
	}
	if first := list.elems[0]; !found && first.is(kindObject) {
		checkText(first, where.index(0), "system", rule, p)
	}
}

func checkName(list *node, where path, p *problems) {
	switch {
	case list == nil, list.is(kindArray) && len(list.elems) == 0:
		p.add(codeMissing, where, "Redox matches patients by identifiers and demographics; give at least one name")
	case !list.is(kindArray), slices.ContainsFunc(list.elems, func(n *node) bool { return !n.is(kindObject) }):
		p.add(codeInvalid, where, "name must be an array of objects (FHIR R4, HumanName)")
	case slices.ContainsFunc(list.elems, func(n *node) bool { return len(n.members) == 0 }):
		p.add(codeInvalid, where, "a name must say something (FHIR R4, invariant ele-1)")
	}
}

// checkText asks for a string that is not empty and not all blanks (FHIR R4,
// string).
func checkText(n *node, where path, key, rule string, p *problems) {
	v := n.get(key)
	if v == nil {
		p.add(codeMissing, where.to(key), rule)
		return
	}
	if s, ok := v.text(); !ok || strings.TrimSpace(s) == "" {
		p.add(codeInvalid, where.to(key), key+" must be a string that is not empty")
	}
}

// checkCode asks for one of a closed set of codes.
func checkCode(n *node, where path, key string, codes []string, p *problems) {
	v := n.get(key)
	if v == nil {
		p.add(codeMissing, where.to(key), key+" is required: "+oneOf(codes))
		return
	}
	if s, ok := v.text(); !ok || !slices.Contains(codes, s) {
		p.add(codeInvalid, where.to(key), key+" must be "+oneOf(codes))
	}
}

// genders are the codes of FHIR R4's required binding.
var genders = []string{"male", "female", "other", "unknown"}

// isDate also refuses days that no calendar has.
func isDate(s string) bool {
	if !date.MatchString(s) {
		return false
	}
	_, err := time.Parse(time.DateOnly, s)
	return len(s) < len(time.DateOnly) || err == nil
}

// date is the form of FHIR R4's type date.
var date = regexp.MustCompile(`^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$`)

package redoxsim

import (
	"fmt"
	"strings"
)

// resolve finds the entry a reference means: FHIR R4, "Resolving references in
// Bundles". A relative one counts only where the fullUrls are RESTful.
func (b *bundleCheck) resolve(from bundleEntry, ref string) (bundleEntry, bool) {
	if e, ok := b.byURL[ref]; ok && ref != "" {
		return e, true
	}
	tail := restfulTail.FindString(from.url)
	if !relative.MatchString(ref) || !isWebURL(from.url) || tail == "" {
		return bundleEntry{}, false
	}
	e, ok := b.byURL[strings.TrimSuffix(from.url, tail)+ref]
	return e, ok
}

// references checks every Reference of an entry: it resolves inside the
// bundle, names a contained resource, or is an absolute URL.
func (b *bundleCheck) references(e bundleEntry) {
	contained := map[string]bool{}
	for i, v := range list(e.resource["contained"]) {
		o, _ := v.(object)
		if text(o["id"]) == "" || text(o["resourceType"]) == "" {
			b.add("contained-resource", fmt.Sprintf("%s/contained/%d", e.at, i))
		}
		contained[text(o["id"])] = true
	}
	b.walkReferences(e, contained, e.resource, e.at)
}

func (b *bundleCheck) walkReferences(e bundleEntry, contained map[string]bool, v any, at string) {
	switch v := v.(type) {
	case object:
		for _, name := range sorted(v) {
			path := at + "/" + pointer(name)
			if ref, ok := v[name].(string); ok && name == "reference" && !b.refers(e, contained, ref) {
				b.add("reference-unresolved", path)
			}
			b.walkReferences(e, contained, v[name], path)
		}
	case []any:
		for i, item := range v {
			b.walkReferences(e, contained, item, fmt.Sprintf("%s/%d", at, i))
		}
	}
}

func (b *bundleCheck) refers(e bundleEntry, contained map[string]bool, ref string) bool {
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		return id == "" || contained[id]
	}
	if _, ok := b.resolve(e, ref); ok {
		return true
	}
	return isWebURL(ref)
}

// shape checks FHIR R4's rules of JSON: no empty object, array or string, and
// null only inside arrays of primitives.
func (b *bundleCheck) shape(v any, at string) {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.add("fhir-json-empty", at)
		}
		for _, name := range sorted(v) {
			path := at + "/" + pointer(name)
			if v[name] == nil {
				b.add("fhir-json-null", path)
			}
			b.shape(v[name], path)
		}
	case []any:
		if len(v) == 0 {
			b.add("fhir-json-empty", at)
		}
		for i, item := range v {
			b.shape(item, fmt.Sprintf("%s/%d", at, i))
		}
	case string:
		if strings.TrimSpace(v) == "" {
			b.add("fhir-json-empty", at)
		}
	}
}

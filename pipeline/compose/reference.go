package compose

import (
	"regexp"
	"strings"
)

// index finds the resources of a message by the names that references use.
type index struct {
	// urls holds every fullUrl.
	urls map[string]bool
	// names maps "Type/id" to the fullUrl.
	names map[string]string
}

// indexOf refuses resources that no reference could tell apart (FHIR R4,
// Bundle invariant bdl-7: fullUrls are unique).
func indexOf(all []resource, p *problems) index {
	x := index{urls: make(map[string]bool, len(all)), names: make(map[string]string, len(all))}
	for _, r := range all {
		name := r.typ + "/" + r.id
		if r.id != "" && x.names[name] != "" || x.urls[r.fullURL] {
			p.add(codeDuplicate, r.at.to("id"), "another resource of the message has this id; give each its own")
			continue
		}
		x.urls[r.fullURL] = true
		if r.id != "" {
			x.names[name] = r.fullURL
		}
	}
	return x
}

const referenceRule = "a reference must name a resource of the message (urn:uuid:… of its id, or Type/id), " +
	"a contained resource (#id), or an absolute http(s) URL; add the resource to /message/entries or correct the reference"

// resolve walks every member called "reference" whose value is a string, at
// any depth of r, and sets those that name a resource of the message to its
// fullUrl. Such a member that is an object is a Reference and walked as one;
// any other value is refused, since whoever reads it could take it for one that
// was never looked at. Other elements that may hold a URI (canonicals, valueUri) are not
// references and stay untouched.
func (x index) resolve(r resource, p *problems) {
	contained := containedIDs(r, p)
	x.walk(r.node, r.at, contained, p)
}

func (x index) walk(n *node, where path, contained map[string]bool, p *problems) {
	for i, e := range n.elems {
		if e.kind == kindObject || e.kind == kindArray {
			x.walk(e, where.index(i), contained, p)
		}
	}
	for i := range n.members {
		m := &n.members[i]
		switch {
		case m.key == "reference" && m.value.kind != kindString && m.value.kind != kindObject:
			p.add(codeInvalid, where.to("reference"), "reference must be a string (FHIR R4, Reference), or the Reference itself")
		case m.value.kind == kindObject || m.value.kind == kindArray:
			x.walk(m.value, where.key(m.key), contained, p)
		case m.key == "reference" && m.value.kind == kindString:
			x.one(m, where, contained, p)
		}
	}
}

func (x index) one(m *member, where path, contained map[string]bool, p *problems) {
	ref := unquote(m.value.raw)
	if fragment, ok := strings.CutPrefix(ref, "#"); ok {
		if !contained[fragment] {
			p.add(codeReference, where.to("reference"), "the resource contains no resource of this id; add it to contained or correct the reference")
		}
		return
	}
	if absolute.MatchString(ref) {
		return
	}
	url, ok := x.find(ref)
	if !ok {
		p.add(codeReference, where.to("reference"), referenceRule)
		return
	}
	if url != ref {
		m.value = text(url)
	}
}

// find gives the fullUrl of the resource that ref names.
func (x index) find(ref string) (string, bool) {
	if len(ref) > len(urnUUID) && strings.EqualFold(ref[:len(urnUUID)], urnUUID) {
		url := strings.ToLower(ref)
		return url, x.urls[url]
	}
	parts := relative.FindStringSubmatch(ref)
	if parts == nil {
		return "", false
	}
	url, ok := x.names[parts[1]]
	return url, ok
}

var (
	// absolute takes http and https URLs: they may lead anywhere.
	absolute = regexp.MustCompile(`^(?i:https?)://[^\s]+$`)
	// relative is Type/id with an optional version (FHIR R4, literal
	// references). A version is dropped when the reference is set: a fullUrl
	// names the one version that the message carries.
	relative = regexp.MustCompile(`^([A-Z][A-Za-z]{0,63}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$`)
)

// containedIDs also holds "", since "#" alone is how a contained resource
// refers to the one around it (FHIR R4, contained resources).
func containedIDs(r resource, p *problems) map[string]bool {
	list := r.node.get("contained")
	if list == nil {
		return nil
	}
	where := r.at.to("contained")
	if !list.is(kindArray) {
		p.add(codeInvalid, where, "contained must be an array of resources")
		return nil
	}
	ids := map[string]bool{"": true}
	for i, c := range list.elems {
		id, ok := c.get("id").text()
		if !ok || id == "" {
			continue
		}
		if ids[id] {
			p.add(codeDuplicate, where.index(i).to("id"), "another contained resource has this id; give each its own")
		}
		ids[id] = true
	}
	return ids
}

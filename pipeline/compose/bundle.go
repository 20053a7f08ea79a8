package compose

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// resource is one resource of the message.
type resource struct {
	node *node
	at   path
	// typ and id are "" where the resource lacks them.
	typ, id string
	fullURL string
}

// bundle is a FHIR message in the making.
type bundle struct {
	request

	header, patient, main resource
	entries               []resource
	// index resolves references to resources of the message.
	index index
}

// mainBuilder checks and completes the main resource of one operation and
// gives the slots of the files. It runs after all references are resolved.
type mainBuilder func(b *bundle) []slot

// fhirMessage makes the builder of a FHIR operation: a Bundle of type message
// whose entries are MessageHeader, Patient, main resource, and the caller's
// further resources in their order (Redox docs, FHIR write operations; FHIR
// R4, Bundle invariant bdl-12).
func fhirMessage(complete mainBuilder) builder {
	return func(r request) draft {
		before := r.p.total
		b := &bundle{request: r}
		b.refuseUnknown()
		b.read(r.message)
		if r.p.total > before {
			// The parts have no sound shape; their rules would only repeat it.
			return draft{}
		}
		all := b.all()
		b.index = indexOf(all, b.p)
		checkPatient(b.patient, b.p)
		for _, r := range all {
			b.index.resolve(r, b.p)
		}
		slots := complete(b)
		for _, r := range all {
			b.carried(r.node, r.at, "")
		}
		b.completeHeader()
		return draft{root: b.assemble, slots: slots, admits: admitAttachment, fill: fillAttachment}
	}
}

// fhirMembers are those of /message that the FHIR operations know.
var fhirMembers = []string{"patient", "resource", "entries", "header"}

// refuseUnknown makes sure that nothing of the caller's is dropped unsaid.
func (b *bundle) refuseUnknown() {
	for _, m := range b.message.members {
		if !slices.Contains(fhirMembers, m.key) {
			b.p.add(codeInvalid, at("message").key(m.key), "the message of this operation has no such member; it would be lost")
		}
	}
}

func (b *bundle) all() []resource {
	return append([]resource{b.header, b.patient, b.main}, b.entries...)
}

// read takes the message apart and names every resource.
func (b *bundle) read(message *node) {
	root := at("message")
	b.patient = b.resource(message.get("patient"), root.to("patient"), "patient", "Patient")
	b.main = b.resource(message.get("resource"), root.to("resource"), "resource", b.op.Main)
	b.readEntries(message.get("entries"), root.to("entries"))

	header, where := message.get("header"), root.to("header")
	if header == nil {
		header = object()
	}
	if header.is(kindObject) && header.get("resourceType") == nil {
		header.add("resourceType", text("MessageHeader"))
	}
	b.header = b.resource(header, where, "header", "MessageHeader")
}

func (b *bundle) readEntries(n *node, where path) {
	if n == nil {
		return
	}
	if !n.is(kindArray) {
		b.p.add(codeInvalid, where, "entries must be an array of resources")
		return
	}
	for i, e := range n.elems {
		here := where.index(i)
		r := b.resource(e, here, fmt.Sprintf("entries/%d", i), "")
		switch r.typ {
		case "Patient":
			b.p.add(codeInvalid, here.to("resourceType"), "a message is about one patient, who stands in /message/patient")
		case "MessageHeader":
			b.p.add(codeInvalid, here.to("resourceType"), "the message header stands in /message/header")
		case "":
		case "Binary", "Bundle", "Parameters":
			code, text := stray(r.typ)
			b.p.add(code, here.to("resourceType"), text)
		default:
			if len(b.op.Entries) > 0 && !slices.Contains(b.op.Entries, r.typ) {
				b.p.add(codeInvalid, here.to("resourceType"), "beside the main resource this operation takes only "+oneOf(b.op.Entries))
			}
		}
		b.entries = append(b.entries, r)
	}
}

// resource checks what every resource must have and gives it its fullUrl:
// its own id where that is a UUID, so that references to it resolve, else an
// identifier derived from the job's id and the resource's role.
func (b *bundle) resource(n *node, where path, role, wantType string) resource {
	r := resource{node: n, at: where}
	if n == nil {
		b.p.add(codeMissing, where, "the message needs this resource")
		return r
	}
	if !n.is(kindObject) {
		b.p.add(codeInvalid, where, "a resource must be a JSON object")
		return r
	}
	r.typ = b.resourceType(n, where, wantType)
	if id := n.get("id"); id != nil {
		var ok bool
		if r.id, ok = id.text(); !ok || !idPattern.MatchString(r.id) {
			b.p.add(codeInvalid, where.to("id"), "a resource's id is a string of 1-64 of A-Z, a-z, 0-9, '-' and '.' (FHIR R4, id)")
			r.id = ""
		}
	}
	r.fullURL = urnUUID + derive(b.job.Key(), role)
	if id, ok := canonicalUUID(r.id); ok {
		r.fullURL = urnUUID + id
	}
	return r
}

func (b *bundle) resourceType(n *node, where path, want string) string {
	t := n.get("resourceType")
	where = where.to("resourceType")
	if t == nil {
		b.p.add(codeMissing, where, "every resource states its resourceType")
		return ""
	}
	typ, ok := t.text()
	switch {
	case !ok || !isTypeName(typ):
		b.p.add(codeInvalid, where, "resourceType must be the name of a FHIR resource")
	case want != "" && typ != want:
		b.p.add(codeInvalid, where, "at this place of the message the resourceType must be "+want)
	}
	return typ
}

func (b *bundle) assemble() *node {
	entries := array()
	for _, r := range b.all() {
		entries.elems = append(entries.elems, object().
			with("fullUrl", text(r.fullURL)).
			with("resource", r.node))
	}
	return object().
		with("resourceType", text("Bundle")).
		with("id", text(derive(b.job.Key(), "bundle"))).
		with("type", text("message")).
		with("timestamp", text(b.job.RequestedAt.UTC().Format(time.RFC3339Nano))).
		with("entry", entries)
}

// isTypeName asks for the form of FHIR R4's resource names: 1-64 letters, the
// first a capital one.
func isTypeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// idPattern is the form of FHIR R4's ids.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

package compose

import (
	"regexp"
	"time"
)

// model is a Data Model message in the making: the caller's own, completed.
type model struct{ request }

// fileBuilder checks and completes the part of a Data Model message that
// carries the files, and gives their places.
type fileBuilder func(m *model) []slot

// place is how a message of the Data Model takes its files.
type place struct {
	build  fileBuilder
	admits admitter
	fill   func(m *model, s slot, file int, a Attachment)
}

// dataModelMessage makes the builder of a Data Model operation: the caller's
// message with Meta and the file fields completed (Redox docs, Data Model
// API). Members that this package does not know stay where they are.
func dataModelMessage(files place) builder {
	return func(r request) draft {
		m := &model{request: r}
		m.meta()
		m.patient()
		slots := files.build(m)
		m.carried(r.message, at("message"))
		return draft{
			root: func() *node { return r.message }, slots: slots, admits: files.admits,
			fill: func(s slot, file int, a Attachment) { files.fill(m, s, file, a) },
		}
	}
}

// meta makes sure that Meta says what the job says. Redox routes a Data Model
// message by it alone, so what contradicts the job is refused.
func (m *model) meta() {
	where := at("message", "Meta")
	meta := m.part(m.message, where, "Meta")
	if meta == nil {
		return
	}
	m.same(meta, where, "DataModel", m.op.Main)
	m.same(meta, where, "EventType", m.op.Event)
	m.eventDateTime(meta, where.to("EventDateTime"))
	m.source(meta, where.to("Source"))
	m.destinations(meta, where.to("Destinations"))
}

// part gives the object that is the member key of n, made where it is absent;
// nil where it is something else.
func (m *model) part(n *node, where path, key string) *node {
	o := n.get(key)
	if o == nil {
		o = object()
		n.add(key, o)
	}
	if !o.is(kindObject) {
		m.p.add(codeInvalid, where, key+" must be an object")
		return nil
	}
	return o
}

// required gives the object that is the member key of n; nil where it is
// absent or something else.
func (m *model) required(n *node, where path, key, rule string) *node {
	o := n.get(key)
	switch {
	case o == nil:
		m.p.add(codeMissing, where, rule)
		return nil
	case !o.is(kindObject):
		m.p.add(codeInvalid, where, key+" must be an object")
		return nil
	}
	return o
}

// same sets a member of Meta to what the job says, and refuses another value.
func (m *model) same(n *node, where path, key, want string) {
	given := n.get(key)
	if given == nil {
		n.add(key, text(want))
		return
	}
	if s, ok := given.text(); !ok || s != want {
		m.p.add(codeHeader, where.to(key), key+" is not the job's; leave it out to have it set")
	}
}

// sameOrNull is same for a member that may be null.
func (m *model) sameOrNull(n *node, where path, key, want string) {
	if n.given(key) == nil {
		n.put(key, text(want))
		return
	}
	m.same(n, where, key, want)
}

// eventDateTime is the time of the job where the caller names none.
func (m *model) eventDateTime(meta *node, where path) {
	given := meta.given("EventDateTime")
	if given == nil {
		meta.put("EventDateTime", text(m.job.RequestedAt.UTC().Format(dateTime)))
		return
	}
	s, ok := given.text()
	if ok && dateTimePattern.MatchString(s) {
		if _, err := time.Parse(time.RFC3339, s); err == nil {
			return
		}
	}
	m.p.add(codeInvalid, where, "EventDateTime must be ISO 8601 in UTC, such as 2026-11-20T10:00:00.000Z; leave it out to have the job's")
}

// source is the job's Redox source. Without one Redox knows it by the key,
// where that has but one source.
func (m *model) source(meta *node, where path) {
	want, fromJob := canonicalUUID(m.job.SourceID)
	if meta.get("Source") == nil && !fromJob {
		return
	}
	s := m.part(meta, where, "Source")
	if s == nil {
		return
	}
	given := s.given("ID")
	if given == nil {
		if fromJob {
			s.put("ID", text(want))
		}
		return
	}
	id, _ := given.text()
	switch id, ok := canonicalUUID(id); {
	case !ok:
		m.p.add(codeInvalid, where.to("ID"), "a Redox source id is a UUID of 36 characters")
	case fromJob && id != want:
		m.p.add(codeHeader, where.to("ID"), "the source is not the job's source_id; leave it out to have it set")
	}
}

// destinations names the job's destination and no other: a second one would
// get the message outside of its own lane.
func (m *model) destinations(meta *node, where path) {
	want := m.job.Destination
	if want.ID == "" {
		m.p.add(codeMissing, at("destination", "id"), "a Data Model message names its destination by id; give it")
		return
	}
	given := meta.get("Destinations")
	if given == nil {
		d := object().with("ID", text(want.ID))
		if want.Name != "" {
			d.add("Name", text(want.Name))
		}
		meta.add("Destinations", array(d))
		return
	}
	if !given.is(kindArray) || len(given.elems) != 1 || !given.elems[0].is(kindObject) {
		m.p.add(codeHeader, where, "Destinations must be an array of the job's destination alone; leave it out to have it set")
		return
	}
	d, where := given.elems[0], where.index(0)
	m.sameOrNull(d, where, "ID", want.ID)
	if want.Name != "" {
		m.sameOrNull(d, where, "Name", want.Name)
	}
}

// patient asks for what Redox's Data Model schemas require of a patient.
func (m *model) patient() {
	where := at("message", "Patient")
	p := m.required(m.message, where, "Patient", "the message needs its patient")
	if p == nil {
		return
	}
	const rule = "a patient is found by identifiers; give at least one, with ID and IDType"
	for i, id := range m.list(p, where, "Identifiers", rule) {
		here := where.to("Identifiers").index(i)
		if !id.is(kindObject) {
			m.p.add(codeInvalid, here, "an identifier must be an object")
			continue
		}
		checkText(id, here, "ID", rule, m.p)
		checkText(id, here, "IDType", rule, m.p)
	}
}

// list gives the elements of an array that must have at least one.
func (m *model) list(n *node, where path, key, rule string) []*node {
	l, where := n.get(key), where.to(key)
	switch {
	case l == nil, l.is(kindArray) && len(l.elems) == 0:
		m.p.add(codeMissing, where, rule)
	case !l.is(kindArray):
		m.p.add(codeInvalid, where, key+" must be an array")
	default:
		return l.elems
	}
	return nil
}

// refuse adds a problem for each of these members that the caller gave.
func (m *model) refuse(n *node, where path, keys ...string) {
	for _, key := range keys {
		if n.get(key) != nil {
			m.p.add(codeAttachment, where.to(key), "the file itself decides this; name the file in /files and leave it out")
		}
	}
}

// refuseGiven is refuse for members that may be null.
func (m *model) refuseGiven(n *node, where path, keys ...string) {
	for _, key := range keys {
		if n.given(key) != nil {
			m.refuse(n, where, key)
		}
	}
}

// dateTime is ISO 8601 in UTC with milliseconds, as in the Redox docs.
const dateTime = "2006-01-02T15:04:05.000Z"

var dateTimePattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$`)

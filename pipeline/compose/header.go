package compose

// completeHeader makes sure that the header says what the operation needs:
// the event, the source's endpoint and the focus (FHIR R4, MessageHeader:
// event[x], source and source.endpoint 1..1; Redox docs, FHIR write
// operations). The caller's other fields stay as they are; what contradicts is
// refused, since Redox routes by it.
func (b *bundle) completeHeader() {
	h := b.header.node
	b.event(h)
	b.source(h)
	b.focus(h)
}

func (b *bundle) event(h *node) {
	if h.get("eventCoding") != nil {
		b.p.add(codeHeader, b.header.at.to("eventCoding"), "the operation has an eventUri, and a header has one event; leave it out")
		return
	}
	given := h.get("eventUri")
	if given == nil {
		h.add("eventUri", text(b.op.Event))
		return
	}
	if uri, ok := given.text(); !ok || uri != b.op.Event {
		b.p.add(codeHeader, b.header.at.to("eventUri"), "the eventUri is not that of the operation; leave it out")
	}
}

func (b *bundle) source(h *node) {
	where := b.header.at.to("source")
	s := h.get("source")
	if s == nil {
		s = object()
		h.add("source", s)
	}
	if !s.is(kindObject) {
		b.p.add(codeInvalid, where, "source must be an object")
		return
	}
	given := s.get("endpoint")
	if given == nil {
		s.add("endpoint", text(endpoint(b.job.SourceID)))
		return
	}
	if uri, ok := given.text(); !ok || uri == "" {
		b.p.add(codeInvalid, where.to("endpoint"), "endpoint must be a URL; leave it out to have the source's own")
	}
}

// focus runs after references are resolved, so that equal means the same
// resource.
func (b *bundle) focus(h *node) {
	where := b.header.at.to("focus")
	given := h.get("focus")
	if given == nil {
		h.add("focus", array(b.referenceTo(b.main)))
		return
	}
	if given.is(kindArray) {
		for _, f := range given.elems {
			if ref, ok := f.get("reference").text(); ok && ref == b.main.fullURL {
				return
			}
		}
	}
	b.p.add(codeHeader, where, "focus must be an array with a reference to the main resource; leave it out to have it set")
}

func (b *bundle) referenceTo(r resource) *node {
	return object().with("reference", text(r.fullURL))
}

package compose

// documentStatuses are the codes of FHIR R4's required binding.
var documentStatuses = []string{"current", "superseded", "entered-in-error"}

// documentReference builds the main resource of documentreference-create: one
// content element per file.
func documentReference(b *bundle) []slot {
	r := b.main
	checkCode(r.node, r.at, "status", documentStatuses, b.p)
	b.masterIdentifier()
	b.subject()
	b.encounter()
	return b.contentSlots()
}

// masterIdentifier gives the document its stable id where the caller gave
// none: derived from the job's id, so that a document sent twice is
// recognised as one.
func (b *bundle) masterIdentifier() {
	given := b.main.node.get("masterIdentifier")
	if given == nil {
		b.main.node.add("masterIdentifier", object().
			with("system", text("urn:ietf:rfc:3986")).
			with("value", text(urnUUID+derive(b.job.ID, "document"))))
		return
	}
	if !given.is(kindObject) {
		b.p.add(codeInvalid, b.main.at.to("masterIdentifier"), "masterIdentifier must be an object (FHIR R4, Identifier)")
	}
}

// subject ties the main resource to the patient. A subject that does not lead
// there by its reference is refused, even one that may mean the same person by
// an identifier: a document in the wrong chart is worse than one refused.
func (b *bundle) subject() {
	given := b.main.node.get("subject")
	if given == nil {
		b.main.node.add("subject", b.referenceTo(b.patient))
		return
	}
	if ref, ok := given.get("reference").text(); !ok || ref != b.patient.fullURL {
		where := b.main.at.to("subject")
		if given.get("reference") != nil {
			where = where.to("reference")
		}
		b.p.add(codeSubject, where, "the subject must be a reference to the message's patient; leave it out to have it set")
	}
}

// encounter links the document to the visit: only when the caller gave exactly
// one Encounter among the entries and no context.encounter, so that there is
// nothing to guess.
func (b *bundle) encounter() {
	context, where := b.main.node.get("context"), b.main.at.to("context")
	if context != nil && !context.is(kindObject) {
		b.p.add(codeInvalid, where, "context must be an object")
		return
	}
	var encounters []resource
	for _, r := range b.entries {
		if r.typ == "Encounter" {
			encounters = append(encounters, r)
		}
	}
	if len(encounters) != 1 || context.get("encounter") != nil {
		return
	}
	if context == nil {
		context = object()
		b.main.node.add("context", context)
	}
	context.add("encounter", array(b.referenceTo(encounters[0])))
}

// contentSlots gives one attachment per file: the caller's own content
// elements in their order, or new ones where there is no content.
func (b *bundle) contentSlots() []slot {
	content, where := b.main.node.get("content"), b.main.at.to("content")
	if content == nil {
		content = array()
		for range b.job.Files {
			content.elems = append(content.elems, object())
		}
		b.main.node.add("content", content)
	}
	if !content.is(kindArray) || len(content.elems) != len(b.job.Files) {
		b.p.add(codeContent, where, "content must be an array with one element for each file, in their order; leave it out to have it built")
		return nil
	}
	var slots []slot
	for i, e := range content.elems {
		here := where.index(i)
		if !e.is(kindObject) {
			b.p.add(codeInvalid, here, "a content element must be an object")
			continue
		}
		if s, ok := attachmentSlot(e, here, b.p); ok {
			slots = append(slots, s)
		}
	}
	return slots
}

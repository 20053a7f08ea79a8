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
	b.context()
	return b.attachmentList("content", contentAttachment)
}

// masterIdentifier gives the document its stable id where the caller gave
// none: derived from the job's id, so that a document sent twice is
// recognized as one.
func (b *bundle) masterIdentifier() {
	given := b.main.node.get("masterIdentifier")
	if given == nil {
		b.main.node.add("masterIdentifier", b.ownIdentifier())
		return
	}
	if !given.is(kindObject) {
		b.p.add(codeInvalid, b.main.at.to("masterIdentifier"), "masterIdentifier must be an object (FHIR R4, Identifier)")
	}
}

// context links the document to the visit.
func (b *bundle) context() {
	context, where := b.main.node.get("context"), b.main.at.to("context")
	if context != nil && !context.is(kindObject) {
		b.p.add(codeInvalid, where, "context must be an object")
		return
	}
	visit, ok := b.onlyEncounter()
	if !ok || context.get("encounter") != nil {
		return
	}
	if context == nil {
		context = object()
		b.main.node.add("context", context)
	}
	context.add("encounter", array(b.referenceTo(visit)))
}

// contentAttachment is where a content element holds its Attachment.
func contentAttachment(element *node, where path, p *problems) (slot, bool) {
	return attachmentIn(element, "attachment", where, p)
}

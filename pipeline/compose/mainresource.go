package compose

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

// encounter links the main resource to the visit where the caller did not.
func (b *bundle) encounter() {
	if visit, ok := b.onlyEncounter(); ok && b.main.node.get("encounter") == nil {
		b.main.node.add("encounter", b.referenceTo(visit))
	}
}

// onlyEncounter finds the visit only when the entries hold exactly one
// Encounter, so that there is nothing to guess.
func (b *bundle) onlyEncounter() (visit resource, ok bool) {
	for _, r := range b.entries {
		if r.typ != "Encounter" {
			continue
		}
		if ok {
			return resource{}, false
		}
		visit, ok = r, true
	}
	return visit, ok
}

// identifier gives the main resource a stable identifier where the caller gave
// none, so that one sent twice is recognized.
func (b *bundle) identifier() {
	given := b.main.node.get("identifier")
	if given == nil {
		b.main.node.add("identifier", array(b.ownIdentifier()))
		return
	}
	if !given.is(kindArray) || len(given.elems) == 0 {
		b.p.add(codeInvalid, b.main.at.to("identifier"), "identifier must be an array that is not empty; leave it out to have one made")
	}
}

// ownIdentifier is derived from the job's id, as a FHIR R4 Identifier of a
// UUID.
func (b *bundle) ownIdentifier() *node {
	return object().
		with("system", text("urn:ietf:rfc:3986")).
		with("value", text(urnUUID+derive(b.job.Key(), "document")))
}

// code asks for a CodeableConcept that says something. FHIR R4 wants no more
// than one code; that an empty one is of no use is our inference.
func (b *bundle) code() {
	given, where := b.main.node.get("code"), b.main.at.to("code")
	if given == nil {
		b.p.add(codeMissing, where, "code is required: what the resource is about")
		return
	}
	coding := given.get("coding")
	if s, ok := given.get("text").text(); ok && s != "" || coding.is(kindArray) && len(coding.elems) > 0 {
		return
	}
	b.p.add(codeInvalid, where, "code must be an object with a coding or a text (FHIR R4, CodeableConcept)")
}

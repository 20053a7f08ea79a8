package compose

// noteFields are those of a Note that only the file can say.
var noteFields = []string{"FileContents", "FileName", "FileType"}

// newNote builds Notes New: one file, in Note (Redox docs, Notes).
func newNote(m *model) []slot {
	note, where := m.document("Note", nil, noteFields)
	if note == nil {
		return nil
	}
	if given := note.get("ContentType"); given != nil {
		if s, ok := given.text(); !ok || s != base64Encoded {
			m.p.add(codeInvalid, where.to("ContentType"), "the ContentType of a file is Base64 Encoded; leave it out to have it set")
		}
	}
	return []slot{{node: note, at: where}}
}

// replacedNote builds Notes Replace.
func replacedNote(m *model) []slot {
	slots := newNote(m)
	m.original("Note")
	return slots
}

// fillNote adds a file to its Note. What is embedded is base64 whatever the
// settings say: as plain text a chart would show it so.
func fillNote(m *model, s slot, file int, a Attachment) {
	if s.node.get("ContentType") == nil {
		kind := base64Encoded
		if a.URL != "" {
			kind = m.settings.uploadedNote()
		}
		s.node.add("ContentType", text(kind))
	}
	if title := cleanTitle(a.Title); title != "" {
		s.node.put("FileName", text(title))
	}
	s.node.put("FileType", modelType(a))
	s.node.put("FileContents", contents(file, a))
}

// document checks what Note and Media share, and gives the object its stable
// DocumentID where the caller gave none: derived from the job's id, so that a
// document sent twice is recognized as one. fileFields are those that only the
// file can say, nullable such of them as may be null. It gives nil where there is
// no such object.
func (m *model) document(key string, fileFields, nullable []string) (*node, path) {
	where := at("message", key)
	doc := m.required(m.message, where, key, "the message needs this object: it carries the file")
	if doc == nil {
		return nil, where
	}
	m.refuse(doc, where, fileFields...)
	m.refuseGiven(doc, where, nullable...)
	checkText(doc, where, "DocumentType", "DocumentType is required: what kind of document it is", m.p)
	if doc.get("DocumentID") == nil {
		doc.add("DocumentID", text(derive(m.job.Key(), "document")))
	} else {
		checkText(doc, where, "DocumentID", "", m.p)
	}
	if by := m.required(doc, where.to("Provider"), "Provider", "a document has a provider; give at least the ID"); by != nil {
		checkText(by, where.to("Provider"), "ID", "a provider has an ID; give it", m.p)
	}
	return doc, where
}

// original asks for the id of the document that is replaced, which is another
// than the new document's (Redox docs, Notes and Media, Replace).
func (m *model) original(key string) {
	doc, where := m.message.get(key), at("message", key)
	if !doc.is(kindObject) {
		return
	}
	checkText(doc, where, "OriginalDocumentID", "a replacement names the document that it replaces; give its DocumentID", m.p)
	old, given := doc.get("OriginalDocumentID").text()
	if id, _ := doc.get("DocumentID").text(); given && id == old {
		m.p.add(codeInvalid, where.to("DocumentID"), "the new document has an id of its own; leave DocumentID out to have one made")
	}
}

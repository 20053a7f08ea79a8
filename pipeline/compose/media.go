package compose

// mediaFields are those of Media that only the file can say.
var mediaFields = []string{"FileContents", "FileName", "FileType"}

// availabilities are the known codes of Media.Availability (Redox docs, Media).
var availabilities = []string{"Available", "Unavailable", "Obsolete", "Deleted", "Cancelled"}

// newMedia builds Media New: one file, in Media (Redox docs, Media).
func newMedia(m *model) []slot {
	media, where := m.document("Media", mediaFields, nil)
	if media == nil {
		return nil
	}
	checkCode(media, where, "Availability", availabilities, m.p)
	return []slot{{node: media, at: where}}
}

// replacedMedia builds Media Replace.
func replacedMedia(m *model) []slot {
	slots := newMedia(m)
	m.original("Media")
	return slots
}

// admitMedia also asks for the FileName that Media must have.
func admitMedia(s slot, file int, a Attachment, p *problems) {
	if cleanTitle(a.Title) == "" {
		p.add(codeMissing, at("files").index(file).to("title"), "Media needs a file name; give the file a title")
	}
	admitModel(s, file, a, p)
}

// fillMedia adds a file to its Media.
func fillMedia(_ *model, s slot, file int, a Attachment) {
	s.node.add("FileName", text(cleanTitle(a.Title)))
	s.node.add("FileType", modelType(a))
	s.node.add("FileContents", contents(file, a))
}

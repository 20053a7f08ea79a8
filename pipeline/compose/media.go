package compose

// mediaFields are those of Media that only the file can say.
var mediaFields = []string{"FileContents", "FileName", "FileType"}

// availabilities are the known codes of Media.Availability (Redox docs, Media).
var availabilities = []string{"Available", "Unavailable", "Obsolete", "Deleted", "Cancelled"}

// newMedia builds Media New: one file, in Media (Redox docs, Media).
func newMedia(m *model) ([]slot, filler) {
	media, where := m.document("Media", mediaFields)
	if media == nil {
		return nil, nil
	}
	checkCode(media, where, "Availability", availabilities, m.p)
	return []slot{{node: media, at: where}}, fillMedia
}

// replacedMedia builds Media Replace.
func replacedMedia(m *model) ([]slot, filler) {
	slots, fill := newMedia(m)
	m.original("Media")
	return slots, fill
}

// fillMedia adds a file to its Media, which must have a FileName.
func fillMedia(s slot, file int, a Attachment, p *problems) {
	where := at("files").index(file)
	title := cleanTitle(a.Title)
	if title == "" {
		p.add(codeMissing, where.to("title"), "Media needs a file name; give the file a title")
	}
	s.node.add("FileName", text(title))
	s.node.add("FileType", fileType(file, a, p))
	if checkSize(a, where, p) {
		s.node.add("FileContents", contents(file, a))
	}
}

package compose

import "github.com/chartpost/chartpost/pipeline/filetype"

// contents stands for a file: its URI, or its bytes in base64.
func contents(file int, a Attachment) *node {
	if a.URL != "" {
		return text(a.URL)
	}
	return embedded(file)
}

// modelType gives the Data Model's FileType of a file, which admitModel has
// found to be there.
func modelType(a Attachment) *node {
	name, _ := filetype.DataModel(a.ContentType)
	return text(name)
}

// admitModel refuses a file that no message of the Data Model can name.
func admitModel(_ slot, file int, a Attachment, p *problems) {
	if _, ok := filetype.DataModel(a.ContentType); !ok {
		p.add(codeMissing, at("files").index(file).to("content_type"), "the Data Model has no FileType for the MIME type of this file, or it has none; give one in the job")
	}
	checkSize(a, at("files").index(file), p)
}

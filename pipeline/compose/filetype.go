package compose

import (
	"regexp"
	"strings"
)

// contents stands for a file: its URI, or its bytes in base64.
func contents(file int, a Attachment) *node {
	if a.URL != "" {
		return text(a.URL)
	}
	return embedded(file)
}

// fileType gives the Data Model's FileType of a file.
func fileType(file int, a Attachment, p *problems) *node {
	name, ok := fileTypeOf(a.ContentType)
	if !ok {
		p.add(codeMissing, at("files").index(file).to("content_type"), "the Data Model has no FileType for the MIME type of this file, or it has none; give one in the job")
	}
	return text(name)
}

// fileTypeOf names a MIME type as Redox's samples name it (PDF, JPG). FileType
// is free text, and the table holds what its readers will know; a short plain
// subtype is a name of its own, so that image/webp is WEBP.
func fileTypeOf(contentType string) (string, bool) {
	bare, _, _ := strings.Cut(contentType, ";")
	bare = strings.ToLower(strings.TrimSpace(bare))
	if name := fileTypes[bare]; name != "" {
		return name, true
	}
	if parts := plainType.FindStringSubmatch(bare); parts != nil {
		return strings.ToUpper(parts[1]), true
	}
	return "", false
}

var plainType = regexp.MustCompile(`^(?:application|audio|image|text|video)/([a-z0-9]{2,5})$`)

// fileTypes holds the MIME types whose subtype is no name for people.
var fileTypes = map[string]string{
	"image/jpeg":                    "JPG",
	"image/pjpeg":                   "JPG",
	"image/tiff":                    "TIFF",
	"image/x-ms-bmp":                "BMP",
	"image/svg+xml":                 "SVG",
	"text/plain":                    "TXT",
	"text/richtext":                 "RTF",
	"text/csv":                      "CSV",
	"application/xhtml+xml":         "HTML",
	"application/msword":            "DOC",
	"application/dicom":             "DCM",
	"application/vnd.ms-excel":      "XLS",
	"application/vnd.ms-powerpoint": "PPT",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   "DOCX",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         "XLSX",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
	"application/vnd.oasis.opendocument.text":                                   "ODT",
	"audio/mpeg":      "MP3",
	"audio/x-wav":     "WAV",
	"video/quicktime": "MOV",
	"video/mpeg":      "MPEG",
}

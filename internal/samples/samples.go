// Package samples holds documents to try Chartpost with: invented, small, and
// made by this project.
package samples

import "embed"

//go:generate go run ./generate

//go:embed files
var files embed.FS

// Document is a sample file with the FHIR DocumentReference that describes it.
type Document struct {
	// Name is the file's name, Short a word for it in job ids.
	Name, Short string
	ContentType string
	Bytes       []byte
	Reference   []byte
}

// Documents are a PDF of two pages, a scanned TIFF, a C-CDA document and a
// photograph.
func Documents() []Document {
	return []Document{
		document("lab-report.pdf", "pdf", "application/pdf", "lab-report.json"),
		document("referral-scan.tiff", "tiff", "image/tiff", "referral-scan.json"),
		document("visit-summary.xml", "ccda", "text/xml", "visit-summary.json"),
		document("wound-photo.jpg", "jpeg", "image/jpeg", "wound-photo.json"),
	}
}

// Patient is the FHIR Patient of the samples.
func Patient() []byte { return read("patient.json") }

// Practitioner is the author that the samples' references name.
func Practitioner() []byte { return read("practitioner.json") }

func document(name, short, contentType, reference string) Document {
	return Document{Name: name, Short: short, ContentType: contentType, Bytes: read(name), Reference: read(reference)}
}

// read cannot fail: the files are part of the binary, and a test reads them all.
func read(name string) []byte {
	data, err := files.ReadFile("files/" + name)
	if err != nil {
		panic(err)
	}
	return data
}

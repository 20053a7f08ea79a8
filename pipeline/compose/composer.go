package compose

import (
	"errors"
	"slices"
)

// Composer builds messages. Its fields are what a deployment may decide where
// the Redox docs leave a question open; the zero value holds the defaults.
type Composer struct {
	// ObservationFile is where an Observation carries its file: the URL of an
	// extension with a valueAttachment, or "valueAttachment" for an element of
	// that name, as FHIR R5 has it. The Redox docs say that it can carry one
	// and show no sample, and FHIR R4 has no place for it. "" is
	// ObservationValueExtension.
	ObservationFile string
	// UploadedNote is the Note.ContentType of a note whose FileContents is a
	// URI: "Base64 Encoded" as in the Redox docs, or "Plain Text" as seen in a
	// working client. "" is "Base64 Encoded".
	UploadedNote string
}

// ObservationValueExtension is HL7's cross-version extension for what R5's
// Observation.value can hold and R4's cannot.
const ObservationValueExtension = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value"

// Validate says whether the settings are ones a message can be built with. It
// is for the start of a program; the other methods take the settings as they
// are.
func (c Composer) Validate() error {
	var problems []error
	if place := c.observationFile(); place != valueAttachment && !absolute.MatchString(place) {
		problems = append(problems, errors.New("the place of an Observation's file is neither the URL of an extension nor valueAttachment"))
	}
	if !slices.Contains(noteContentTypes, c.uploadedNote()) {
		problems = append(problems, errors.New("the content type of an uploaded note must be "+oneOf(noteContentTypes)))
	}
	return errors.Join(problems...)
}

func (c Composer) observationFile() string {
	if c.ObservationFile == "" {
		return ObservationValueExtension
	}
	return c.ObservationFile
}

func (c Composer) uploadedNote() string {
	if c.UploadedNote == "" {
		return base64Encoded
	}
	return c.UploadedNote
}

// base64Encoded is the Note.ContentType of a file (Redox docs, Notes).
const base64Encoded = "Base64 Encoded"

// noteContentTypes are those a note with a file can have.
var noteContentTypes = []string{base64Encoded, "Plain Text"}

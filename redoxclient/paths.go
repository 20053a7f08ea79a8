package redoxclient

import (
	"regexp"
	"slices"
	"strings"
)

// maxPaths bounds the places of an error.
const maxPaths = 4

// pathStep is one step of a FHIRPath as Redox writes it in an issue: an element, with the
// index of a repeat.
var pathStep = regexp.MustCompile(`^([A-Za-z]{1,40})(\[\d{1,4}\])?$`)

// pathStarts are the resources in a message with which a path may begin, and pathElements
// the elements that it may name. FHIR R4: Bundle, MessageHeader, Patient, DocumentReference,
// DiagnosticReport, Observation, and the data types in them.
var (
	pathStarts   = strings.Fields("Bundle MessageHeader Patient DocumentReference DiagnosticReport Observation Encounter Practitioner Organization")
	pathElements = strings.Fields(`address attachment author authenticator authored basedOn birthDate birthsex category city class code
		coding communication component conclusion conclusionCode contact contained content contentType context country custodian data
		dateTime date deceasedBoolean deceasedDateTime description destination destinationSystem display district docStatus effectiveDateTime
		effectivePeriod encounter end endpoint entry event eventCoding eventUri extension family focus format fullUrl gender generalPractitioner
		given hasMember hash hospitalization id identifier interpretation issued language line link location managingOrganization maritalStatus
		media meta method multipleBirthBoolean name note participant period performer period postalCode prefix presentedForm profile
		qualification referenceRange related relatesTo relationship request resource result resultsInterpreter securityLabel sender serviceProvider
		size source specimen start state status statusReason subject suffix system target telecom text timestamp title type unit url use value
		valueBoolean valueCodeableConcept valueDateTime valueQuantity valueReference valueString version versionId`)
)

// safePath is the part of a path that is made of known names, as far as it goes, without
// a value: a function such as where(...) could have one. It is empty where none is.
func safePath(path string) string {
	var steps []string
	for i, text := range strings.Split(path, ".") {
		m := pathStep.FindStringSubmatch(text)
		known := pathElements
		if i == 0 {
			known = pathStarts
		}
		if m == nil || !slices.Contains(known, m[1]) || len(steps) == 12 {
			break
		}
		steps = append(steps, text)
	}
	return strings.Join(steps, ".")
}

// addPath notes where an issue is.
func (v *verdict) addPath(path string) {
	path = safePath(path)
	if path != "" && len(v.paths) < maxPaths && !slices.Contains(v.paths, path) {
		v.paths = append(v.paths, path)
	}
}

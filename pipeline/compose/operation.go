package compose

import "slices"

// API is the Redox interface that an operation speaks to.
type API int

// The interfaces of Redox.
const (
	FHIR API = iota + 1
	DataModel
)

// String gives the name for people.
func (a API) String() string {
	switch a {
	case FHIR:
		return "FHIR"
	case DataModel:
		return "Data Model"
	}
	return "unknown"
}

// Operation is one row of the table: all that sets one operation apart.
type Operation struct {
	// Name is what a job calls it.
	Name string
	API  API
	// Path is below the destination for FHIR, for instance
	// "DocumentReference/$documentreference-create", and "endpoint" for the
	// Data Model, which has one (Redox docs).
	Path string
	// ContentType is the message's own.
	ContentType string
	// Event says what happened: MessageHeader.eventUri, or Meta.EventType.
	Event string
	// Main is the type of the main resource, or Meta.DataModel.
	Main string
	// Entries are the types of further resources; empty takes any.
	Entries []string
	// MaxFiles is how many files one message carries at most.
	MaxFiles int
	// About is what docs/operations.md says beside the row.
	About About

	build builder
}

// About is what people are told of an operation. The tests hold Required and
// Filled against what Check and Compose do. Their elements are named from the
// top of the job's message, "[]" standing for each element of an array.
type About struct {
	// File is where a file goes.
	File string
	// Required are the elements without which a job is refused.
	Required []string
	// Filled are those that are made where the job's message lacks them.
	Filled []string
	// Notes are further rules.
	Notes []string
	// Uncertain is what Redox's public docs leave open.
	Uncertain []string
}

const (
	fhirJSON = "application/fhir+json"
	// eventDefinitions is the base of Redox's event URIs. The Redox docs print
	// it for the diagnostic report and observation operations; for
	// DocumentReferenceCreate it was seen in working clients.
	eventDefinitions = "https://fhir.redoxengine.com/EventDefinition/"
	// maxFiles is the most that a job can name.
	maxFiles = 10
)

// operations is the table. Adding an operation is one row in one of the two
// files below and its builder in a file of its own; the tests then ask for
// its golden files and its place in docs/operations.md. It is made once: each
// job is looked up in it.
var operations = slices.Concat(fhirOperations(), dataModelOperations())

// Operations gives the table in its order.
func Operations() []Operation { return slices.Clone(operations) }

// Lookup finds an operation by the name that jobs use.
func Lookup(name string) (Operation, bool) {
	for i := range operations {
		if operations[i].Name == name {
			return operations[i], true
		}
	}
	return Operation{}, false
}

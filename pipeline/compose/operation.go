package compose

import (
	"slices"

	"github.com/chartpost/chartpost/schemas"
)

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
	// Path is below the destination, for instance
	// "DocumentReference/$documentreference-create" (Redox docs, FHIR write
	// operations); it is empty for the Data Model, which has one endpoint.
	Path string
	// EventURI is MessageHeader.eventUri.
	EventURI string
	// ResourceType is the main resource's.
	ResourceType string
	// ContentType is the message's own.
	ContentType string

	build builder
}

const (
	fhirJSON = "application/fhir+json"
	// eventDefinitions is the base of Redox's event URIs. The Redox docs print
	// it for the diagnostic report and observation operations; for
	// DocumentReferenceCreate it was seen in working clients.
	eventDefinitions = "https://fhir.redoxengine.com/EventDefinition/"
)

// operations returns the table. Adding an operation is one row here and its
// builder in a file of its own; the tests then ask for its golden files.
func operations() []Operation {
	return []Operation{
		{
			Name:         schemas.DocumentReferenceCreate,
			API:          FHIR,
			Path:         "DocumentReference/$documentreference-create",
			EventURI:     eventDefinitions + "DocumentReferenceCreate",
			ResourceType: "DocumentReference",
			ContentType:  fhirJSON,
			build:        fhirMessage(documentReference),
		},
	}
}

// Operations gives the table in its order.
func Operations() []Operation { return operations() }

// Lookup finds an operation by the name that jobs use.
func Lookup(name string) (Operation, bool) {
	table := operations()
	i := slices.IndexFunc(table, func(o Operation) bool { return o.Name == name })
	if i < 0 {
		return Operation{}, false
	}
	return table[i], true
}

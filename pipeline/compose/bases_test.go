package compose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// base is a sound message of one operation, for tests that spoil it. Like
// baseMessage, it holds the canary wherever no rule reads.
type base struct {
	message string
	files   int
}

const (
	reportResource = `"resource": {
		"resourceType": "DiagnosticReport",
		"id": "d1",
		"status": "final",
		"code": {"text": "Zqxcanary"},
		"subject": {"reference": "Patient/p1"},
		"contained": [{"resourceType": "Practitioner", "id": "c1"}],
		"performer": [{"reference": "#c1"}],
		"result": [{"reference": "Observation/o1"}],
		"presentedForm": [{"title": "Zqxcanary"}, {}]
	},
	"entries": [{"resourceType": "Observation", "id": "o1"}, {"resourceType": "Encounter", "id": "e1", "subject": {"reference": "Patient/p1"}}],
	"header": {"source": {"name": "Zqxcanary"}, "focus": [{"reference": "DiagnosticReport/d1"}]}
}`
	observationResource = `"resource": {
		"resourceType": "Observation",
		"id": "d1",
		"status": "final",
		"code": {"coding": [{"code": "Zqxcanary"}]},
		"subject": {"reference": "Patient/p1"},
		"extension": [{"url": "urn:zqxcanary", "valueString": "Zqxcanary"}],
		"hasMember": [{"reference": "Observation/o1"}],
		"valueString": "Zqxcanary"
	},
	"entries": [{"resourceType": "Observation", "id": "o1"}, {"resourceType": "Encounter", "id": "e1"}],
	"header": {"source": {"name": "Zqxcanary"}}
}`
	metaMember = `"Meta": {
		"DataModel": "#MODEL",
		"EventType": "#EVENT",
		"EventDateTime": "2026-11-19T10:00:00Z",
		"Source": {"ID": "0f8fad5b-d9cb-469f-a165-70867728950e", "Name": "Zqxcanary"},
		"Destinations": [{"ID": "dest-1", "Name": "Good Health"}]
	},
	"Patient": {"Identifiers": [{"ID": "Zqxcanary", "IDType": "Zqxcanary"}], "Demographics": {"LastName": "Zqxcanary"}},
	`
	noteMessage = `{` + metaMember + `"Note": {
		"DocumentType": "Zqxcanary",
		"DocumentID": "Zqxcanary-1",
		"OriginalDocumentID": "Zqxcanary-0",
		"Provider": {"ID": "Zqxcanary", "LastName": "Zqxcanary"}
	}
}`
	mediaMessage = `{` + metaMember + `"Media": {
		"DocumentType": "Zqxcanary",
		"DocumentID": "Zqxcanary-1",
		"OriginalDocumentID": "Zqxcanary-0",
		"Provider": {"ID": "Zqxcanary", "LastName": "Zqxcanary"},
		"Availability": "Available"
	}
}`
	resultsMessage = `{` + metaMember + `"Orders": [
		{"ID": "Zqxcanary-1", "ApplicationOrderID": "Zqxcanary-2", "Status": "Resulted", "Results": [
			{"Code": "Zqxcanary", "Status": "Final", "ValueType": "Encapsulated Data"},
			{"Code": "Zqxcanary", "Status": "Final", "ValueType": "Numeric", "Value": "471100815", "Units": "Zqxcanary"}
		]},
		{"ID": "Zqxcanary-3", "ApplicationOrderID": "Zqxcanary-4", "Status": "Resulted", "Results": [
			{"Code": "Zqxcanary", "Status": "Final", "ValueType": "Encapsulated Data", "Producer": {"Name": "Zqxcanary"}}
		]}
	]
}`
)

// bases gives one for every operation.
func bases() map[string]base {
	patient := baseMessage[:strings.Index(baseMessage, `"resource":`)]
	model := func(message, model, event string) string {
		return strings.NewReplacer("#MODEL", model, "#EVENT", event).Replace(message)
	}
	return map[string]base{
		schemas.DocumentReferenceCreate: {baseMessage, 2},
		schemas.DiagnosticReportCreate:  {patient + reportResource, 2},
		schemas.DiagnosticReportAmend:   {patient + reportResource, 2},
		schemas.ObservationCreate:       {patient + observationResource, 1},
		schemas.NotesNew:                {model(noteMessage, "Notes", "New"), 1},
		schemas.NotesReplace:            {model(noteMessage, "Notes", "Replace"), 1},
		schemas.MediaNew:                {model(mediaMessage, "Media", "New"), 1},
		schemas.MediaReplace:            {model(mediaMessage, "Media", "Replace"), 1},
		schemas.ResultsNew:              {model(resultsMessage, "Results", "New"), 2},
		schemas.ResultsNewUnsolicited:   {model(resultsMessage, "Results", "NewUnsolicited"), 2},
	}
}

func baseOf(t testing.TB, operation string) (schemas.Job, []compose.Attachment) {
	t.Helper()
	b, ok := bases()[operation]
	if !ok {
		t.Fatalf("no base message for %s", operation)
	}
	job := baseJob()
	job.Operation, job.Message, job.Files = operation, json.RawMessage(b.message), make([]schemas.File, b.files)
	if op, _ := compose.Lookup(operation); op.API == compose.DataModel {
		job.SourceID = "0f8fad5b-d9cb-469f-a165-70867728950e"
		job.Destination = schemas.Destination{ID: "dest-1", Name: "Good Health"}
	}
	return job, baseFiles()[:b.files]
}

// spoil replaces old by new in the job's message; with an empty old, new is
// the whole message.
func spoil(t *testing.T, job schemas.Job, old, new string) schemas.Job {
	t.Helper()
	message := string(job.Message)
	if old == "" {
		job.Message = json.RawMessage(new)
		return job
	}
	if !strings.Contains(message, old) {
		t.Fatal("the base message does not hold what the case replaces")
	}
	job.Message = json.RawMessage(strings.Replace(message, old, new, 1))
	return job
}

func TestCheckAcceptsTheBases(t *testing.T) {
	for _, op := range compose.Operations() {
		job, files := baseOf(t, op.Name)
		if m := mustCompose(t, job, files); m.API != op.API {
			t.Errorf("the message of %s is for %s", op.Name, m.API)
		}
	}
}

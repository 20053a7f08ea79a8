package redoxsim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// answer is a response that has been decided but not written.
type answer struct {
	status  int
	header  map[string]string
	body    []byte
	refused []string // the rules broken
	// location is the address an upload got.
	location string
	// uri marks the answer of /upload, whose body alone holds the address.
	uri bool
}

type object = map[string]any

func (a *answer) write(w http.ResponseWriter) {
	a.headers(w.Header())
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (a *answer) headers(h http.Header) {
	if len(a.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	for k, v := range a.header {
		h.Set(k, v)
	}
}

// jsonAnswer marshals what the simulator itself made; that cannot fail.
func jsonAnswer(status int, body any) *answer {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("redoxsim: own answer does not marshal: %v", err))
	}
	return &answer{status: status, body: text}
}

func fhirAnswer(status int, body any) *answer {
	a := jsonAnswer(status, body)
	a.header = map[string]string{"Content-Type": "application/fhir+json"}
	return a
}

// finding is one broken rule and where.
type finding struct {
	rule string // a stable word
	path string // JSON pointer into the body, without values
}

func (f finding) String() string {
	if f.path == "" {
		return f.rule
	}
	return f.rule + " at " + f.path
}

// findings collects every rule a message breaks.
type findings []finding

func (fs *findings) add(rule, path string) { *fs = append(*fs, finding{rule, path}) }

func (fs findings) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.String()
	}
	return names
}

// refuseFHIR refuses with an OperationOutcome naming rules without a place.
func refuseFHIR(status int, rules ...string) *answer {
	var fs findings
	for _, r := range rules {
		fs.add(r, "")
	}
	return fs.outcome(status)
}

// outcome refuses with an OperationOutcome.
func (fs findings) outcome(status int) *answer {
	a := fhirAnswer(status, operationOutcome(fs.names()...))
	a.refused = fs.names()
	return a
}

func operationOutcome(texts ...string) object {
	issues := make([]any, len(texts))
	for i, text := range texts {
		issues[i] = object{"severity": "error", "code": "invalid", "diagnostics": text}
	}
	return object{"resourceType": "OperationOutcome", "issue": issues}
}

// metaErrors refuses a Data Model message.
func (fs findings) metaErrors(status int, model, event string) *answer {
	a := jsonAnswer(status, metaErrors(model, event, fs.names()...))
	a.refused = fs.names()
	return a
}

func metaErrors(model, event string, texts ...string) object {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = object{"ID": uuid.NewString(), "Text": text, "Type": "validation", "Module": "simulator"}
	}
	return object{"Meta": object{"DataModel": model, "EventType": event, "Errors": list}}
}

// accepted is the answer to a FHIR write, in the shape seen from Redox's sandbox.
func acceptedFHIR(receipt Receipt) *answer {
	a := fhirAnswer(http.StatusOK, object{
		"resourceType": "Bundle", "id": uuid.NewString(), "type": "batch-response",
		"entry": []any{object{"response": object{"status": "201 Created", "location": receipt.Location}}},
	})
	a.header["Redox-Trace-Id"] = receipt.TraceID
	return a
}

func acceptedDataModel(receipt Receipt, model, event string) *answer {
	logs := make([]any, len(receipt.LogIDs))
	for i, id := range receipt.LogIDs {
		logs[i] = object{"ID": id, "AttemptID": uuid.NewString()}
	}
	a := jsonAnswer(http.StatusOK, object{"Meta": object{"DataModel": model, "EventType": event, "Logs": logs}})
	a.header = map[string]string{"Redox-Trace-Id": receipt.TraceID}
	return a
}

// errorInside answers 200 with an error in the body, or nil when the fault
// asks for something else.
func (x *exchange) errorInside(model, event string) *answer {
	if x.fault == nil {
		return nil
	}
	const text = "injected"
	var a *answer
	switch x.fault.Action {
	case ErrorOutcome:
		a = fhirAnswer(http.StatusOK, operationOutcome(text))
	case ErrorEntry:
		a = fhirAnswer(http.StatusOK, object{"resourceType": "Bundle", "type": "batch-response",
			"entry": []any{object{"response": object{"status": "400 Bad Request", "outcome": operationOutcome(text)}}}})
	case ErrorHeaderFatal:
		a = headerError("fatal-error")
	case ErrorHeaderTransient:
		a = headerError("transient-error")
	case ErrorMeta:
		a = jsonAnswer(http.StatusOK, metaErrors(model, event, text))
	default:
		return nil
	}
	a.refused = []string{text}
	return a
}

func headerError(code string) *answer {
	return fhirAnswer(http.StatusOK, object{"resourceType": "Bundle", "type": "message", "entry": []any{
		object{"fullUrl": "urn:uuid:" + uuid.NewString(), "resource": object{
			"resourceType": "MessageHeader", "source": object{"endpoint": "urn:uuid:" + uuid.NewString()},
			"eventUri": "https://fhir.redoxengine.com/EventDefinition/DocumentReferenceCreate",
			"response": object{"identifier": uuid.NewString(), "code": code},
		}}}})
}

// defaultOversize is larger than any answer a client should read.
const defaultOversize = 64 << 20

// disfigured is the answer as the fault wants it, on success only.
func (a *answer) disfigured(f *Fault) *answer {
	relocates := f.Action == NoLocation || f.Action == PlainLocation || f.Action == ForeignLocation
	if a.status >= 300 || relocates && a.location == "" {
		return a
	}
	c := *a
	c.header = maps.Clone(a.header)
	if c.header == nil {
		c.header = map[string]string{}
	}
	switch f.Action {
	case AnswerUnreadable:
		c.body = []byte("<html><body>{\"resourceType\": oops")
	case AnswerEmpty:
		c.body = nil
	case AnswerOversized:
		n := f.Bytes
		if n == 0 {
			n = defaultOversize
		}
		c.body = slices.Concat([]byte(`{"filler":"`), []byte(strings.Repeat("x", int(max(0, n-13)))), []byte(`"}`))
	case NoLocation:
		delete(c.header, "Location")
	case PlainLocation:
		c.relocate("http://" + strings.TrimPrefix(a.location, "https://"))
	case ForeignLocation:
		c.relocate(cmp.Or(f.URL, "https://elsewhere.simulator.invalid/"+uuid.NewString()))
	}
	return &c
}

// relocate changes an upload's URL in header and body.
func (a *answer) relocate(to string) {
	if a.uri {
		a.body = jsonAnswer(0, object{"URI": to}).body
		return
	}
	a.header["Location"] = to
	a.body = jsonAnswer(0, object{"location": to}).body
}

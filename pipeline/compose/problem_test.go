package compose_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// TestPathsHideTheCallersKeys puts keys that look like an element's name, but
// are a patient's number or name, where a path steps through the caller's own.
func TestPathsHideTheCallersKeys(t *testing.T) {
	const entry = `"entries": [`
	in := func(members string) string { return entry + `{"resourceType": "Basic", ` + members + `}, ` }
	for _, key := range []string{"mrn4711001", "johnsmith", "_johnsmith", "valueMrn4711001", "patientJohnsmith", "johnsmithName", "Johnsmith", "a/~1johnsmith"} {
		for _, c := range []struct{ name, new, path string }{
			{"a member of the message", `"` + key + `": 1, ` + entry, "/message/*"},
			{"above a reference", in(`"` + key + `": {"reference": "x"}`), "/message/entries/0/*/reference"},
			{"above references", in(`"` + key + `": [{"` + key + `": {"subject": {"reference": "x"}}}]`), "/message/entries/0/*/0/*/subject/reference"},
			{"above data", in(`"` + key + `": {"photo": {"data": "x"}}`), "/message/entries/0/*/photo/data"},
			{"above a URL", in(`"photo": [{"` + key + `": {"url": "data:x"}}]`), "/message/entries/0/photo/0/*/url"},
			{"above another patient", in(`"` + key + `": {"patient": {"reference": "https://x.example/Patient/1"}}`), "/message/entries/0/*/patient/reference"},
			{"above a resource", in(`"` + key + `": {"resourceType": "Bundle"}`), "/message/entries/0/*/resourceType"},
		} {
			job := baseJob()
			job.Message = json.RawMessage(strings.Replace(baseMessage, entry, c.new, 1))
			checkHidden(t, key+" as "+c.name, compose.Check(job), c.path)
		}
	}
}

// TestPathsHideValueNames: an observation looks at all that begins with value.
func TestPathsHideValueNames(t *testing.T) {
	for name, path := range map[string]string{"valueMrn4711001": "*", "_valueJohnsmith": "*", "valueString": "valueString", "_valueString": "_valueString"} {
		job, _ := baseOf(t, schemas.ObservationCreate)
		job = spoil(t, job, `"extension": [`, fileExtension+`, "`+name+`": "x"},`)
		checkHidden(t, name, compose.Check(job), "/message/resource/extension/0/"+path)
	}
}

func checkHidden(t *testing.T, what string, err error, path string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || f.Path != path {
		t.Errorf("%s: want %s, got %v", what, path, err)
		return
	}
	for _, canary := range []string{"4711001", "johnsmith"} {
		if strings.Contains(strings.ToLower(f.Error()), canary) {
			t.Errorf("%s: %v", what, f)
		}
	}
}

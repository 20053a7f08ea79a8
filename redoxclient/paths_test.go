package redoxclient

import (
	"fmt"
	"strings"
	"testing"
)

// TestSafePath: a path goes as far as its names are known, and no value passes.
func TestSafePath(t *testing.T) {
	for path, want := range map[string]string{
		"Bundle.entry[1].resource.birthDate": "Bundle.entry[1].resource.birthDate",
		"Patient.name[0].family":             "Patient.name[0].family",
		"Patient":                            "Patient",
		"Zebedee":                            "",
		"Patient.Zebedee":                    "Patient",
		"Patient.name.where(family='Zebedee').given": "Patient.name",
		"Patient.identifier[0000001]":                "Patient",
		"Bundle.entry[1]/resource":                   "Bundle",
		"":                                           "", ".": "", "Patient.": "Patient", "Patient.name.\x1b[2J": "Patient.name",
		"Patient" + strings.Repeat(".name", 50): "Patient" + strings.Repeat(".name", 11),
	} {
		if got := safePath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// TestPathsOfAnAnswer: those of expression, each once, four at most, and nothing else.
func TestPathsOfAnAnswer(t *testing.T) {
	v := parseAnswer([]byte(`{"resourceType":"OperationOutcome","issue":[
		{"severity":"error","code":"invalid","diagnostics":"Zebedee","expression":["Bundle.entry[1].resource.birthDate","Zebedee"]},
		{"severity":"error","code":"required","location":["Patient.name"],"expression":"Bundle.entry[1].resource.birthDate"},
		{"severity":"warning","expression":["Patient.gender","Patient.address","Patient.telecom"]}]}`))
	if got := fmt.Sprint(v.paths); got != "[Bundle.entry[1].resource.birthDate Patient.gender Patient.address Patient.telecom]" {
		t.Error(got)
	}
	e := &Error{Kind: Permanent, Op: OpSend, Where: Answered, Code: CodeStatus, Reply: Reply{Status: 400, IssueCodes: v.codes, Paths: v.paths[:1], TraceID: "t-1"}}
	if want := "redox send: status (permanent) in the answer, status 400, 0 bytes, issues invalid required, at Bundle.entry[1].resource.birthDate, trace t-1"; e.Error() != want {
		t.Errorf("%s\nwant %s", e, want)
	}
}

func FuzzSafePath(f *testing.F) {
	f.Add("Bundle.entry[1].resource.birthDate")
	f.Fuzz(func(t *testing.T, path string) {
		got := safePath(path)
		if !strings.HasPrefix(path, got) {
			t.Errorf("%q: %q", path, got)
		}
		for _, step := range strings.Split(got, ".") {
			if got != "" && !pathStep.MatchString(step) {
				t.Errorf("%q: %q", path, got)
			}
		}
	})
}

package compose_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// TestTableIsTheContract: the operations that jobs can ask for, in order.
func TestTableIsTheContract(t *testing.T) {
	var names []string
	for _, op := range compose.Operations() {
		names = append(names, op.Name)
	}
	if !slices.Equal(names, schemas.Operations()) {
		t.Errorf("the table holds %v, the contract %v", names, schemas.Operations())
	}
}

// minimal gives the golden case that holds nothing but what is required.
func minimal(t *testing.T, operation string) goldenCase {
	t.Helper()
	for _, c := range goldenCases(t, operation) {
		if filepath.Base(c.dir) == "minimal" {
			return c
		}
	}
	t.Fatalf("%s has no golden case called minimal", operation)
	return goldenCase{}
}

// TestRequiredIsTrue takes every member out of the minimal job in turn: what
// the table says is required is refused when it is missing, and nothing else.
func TestRequiredIsTrue(t *testing.T) {
	for _, op := range compose.Operations() {
		job := minimal(t, op.Name).job
		var doc any
		if err := json.Unmarshal(job.Message, &doc); err != nil {
			t.Fatal(err)
		}
		refused := map[string]bool{}
		without(doc, func(removed string) {
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			job.Message = raw
			err = compose.Check(job)
			if err == nil {
				return
			}
			f, _ := errors.AsType[*fault.Fault](err)
			if f == nil || f.Code != "element_missing" && f.Code != "element_invalid" {
				t.Errorf("%s without %s: %v", op.Name, removed, err)
				return
			}
			at := elementOf(f.Path)
			if within(removed, at) && removed != at {
				return // the element around it became empty, and says so
			}
			if !within(at, removed) {
				t.Errorf("%s without %s: the fault is at %s", op.Name, removed, at)
			}
			refused[removed] = true
		})
		for _, element := range op.About.Required {
			if !refused[element] {
				t.Errorf("%s takes a message without %s, which is said to be required", op.Name, element)
			}
		}
		for element := range refused {
			if !slices.ContainsFunc(op.About.Required, func(r string) bool { return within(r, element) }) {
				t.Errorf("%s requires %s and the table does not say so", op.Name, element)
			}
		}
	}
}

// without takes out one member at a time and puts it back.
func without(v any, try func(removed string)) {
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				here := strings.TrimPrefix(at+"."+key, ".")
				old := v[key]
				delete(v, key)
				try(here)
				v[key] = old
				walk(old, here)
			}
		case []any:
			for _, e := range v {
				walk(e, at+"[]")
			}
		}
	}
	walk(v, "")
}

// within tells whether element is outer or lies inside it.
func within(element, outer string) bool {
	return element == outer || strings.HasPrefix(element, outer+".") || strings.HasPrefix(element, outer+"[")
}

var arrayIndex = regexp.MustCompile(`/[0-9]+`)

// elementOf turns a fault's path into the table's notation.
func elementOf(path string) string {
	path = arrayIndex.ReplaceAllString(strings.TrimPrefix(path, "/message/"), "[]")
	return strings.ReplaceAll(path, "/", ".")
}

// TestFilledIsTrue compares the minimal job with its message: what the table
// says is made is there, and nothing else is new.
func TestFilledIsTrue(t *testing.T) {
	for _, op := range compose.Operations() {
		c := minimal(t, op.Name)
		out := string(readBody(t, mustCompose(t, c.job, c.attachments(t, true)), c.open))
		before, after := map[string]bool{}, map[string]bool{}
		elements(readTree(t, c.job.Message), "", before)
		message := readTree(t, []byte(out))
		if op.API == compose.FHIR {
			for i, part := range []string{"header", "patient", "resource"} {
				after[part] = true
				elements(message.member("entry").elems[i].member("resource"), part, after)
			}
		} else {
			elements(message, "", after)
		}
		for _, element := range op.About.Filled {
			if !after[element] || before[element] {
				t.Errorf("%s does not make %s, which it is said to", op.Name, element)
			}
		}
		for element := range after {
			known := func(f string) bool { return within(element, f) || within(f, element) }
			if !before[element] && !slices.ContainsFunc(op.About.Filled, known) {
				t.Errorf("%s makes %s and the table does not say so", op.Name, element)
			}
		}
	}
}

func elements(n *tree, at string, into map[string]bool) {
	for i, e := range n.elems {
		here := at + "[]"
		if n.kind == '{' {
			here = strings.TrimPrefix(at+"."+strings.Trim(n.names[i], `"`), ".")
			into[here] = true
		}
		elements(e, here, into)
	}
}

// filePlaces are where the files of each operation lie in the message, said a
// second time and apart from the builders.
var filePlaces = map[string]string{
	schemas.DocumentReferenceCreate: "entry[].resource.content[].attachment.data|url",
	schemas.DiagnosticReportCreate:  "entry[].resource.presentedForm[].data|url",
	schemas.DiagnosticReportAmend:   "entry[].resource.presentedForm[].data|url",
	schemas.ObservationCreate:       "entry[].resource.extension[].valueAttachment.data|url",
	schemas.NotesNew:                "Note.FileContents",
	schemas.NotesReplace:            "Note.FileContents",
	schemas.MediaNew:                "Media.FileContents",
	schemas.MediaReplace:            "Media.FileContents",
	schemas.ResultsNew:              "Orders[].Results[].Value",
	schemas.ResultsNewUnsolicited:   "Orders[].Results[].Value",
}

// TestGoldenDiffersByTheFiles reads the golden messages: those that embed and
// those that name URLs differ in the files alone, in their order and place.
func TestGoldenDiffersByTheFiles(t *testing.T) {
	for _, op := range compose.Operations() {
		for _, c := range goldenCases(t, op.Name) {
			embed := readBody(t, mustCompose(t, c.job, c.attachments(t, false)), c.open)
			upload := readBody(t, mustCompose(t, c.job, c.attachments(t, true)), c.open)
			found := differences(t, readTree(t, embed), readTree(t, upload), "")
			if len(found) != len(c.files) {
				t.Fatalf("%s: %d differences for %d files", c.dir, len(found), len(c.files))
			}
			for i, d := range found {
				if d.at != filePlaces[op.Name] || d.embed != c.files[i].Text || d.upload != c.files[i].URL {
					t.Errorf("%s: file %d does not stand at %s", c.dir, i, d.at)
				}
			}
		}
	}
}

type difference struct{ at, embed, upload string }

// differences lists the scalars that differ, the first decoded from base64.
func differences(t *testing.T, a, b *tree, at string) (all []difference) {
	t.Helper()
	if a.kind != b.kind || len(a.elems) != len(b.elems) {
		t.Fatalf("the messages differ in shape at %s", at)
	}
	for i := range a.elems {
		here := at + "[]"
		if a.kind == '{' {
			name, other := strings.Trim(a.names[i], `"`), strings.Trim(b.names[i], `"`)
			if name != other {
				name += "|" + other
			}
			here = strings.TrimPrefix(at+"."+name, ".")
		}
		all = append(all, differences(t, a.elems[i], b.elems[i], here)...)
	}
	if a.raw != b.raw {
		data, err := base64.StdEncoding.DecodeString(strings.Trim(a.raw, `"`))
		if err != nil {
			t.Fatalf("at %s: %v", at, err)
		}
		all = append(all, difference{at, string(data), strings.Trim(b.raw, `"`)})
	}
	return all
}

package fhircheck_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
)

const goldenRoot = "../golden"

// invalidOnPurpose are the cases that are no valid FHIR: they show that what
// a caller writes travels as it was written. Each names the members that FHIR
// R4 does not know (FHIR R4, JSON: a receiver may refuse unknown properties).
var invalidOnPurpose = map[string][]string{
	"documentreference-create/as-written": {
		"/entry/2/resource/zzz",
		"/entry/2/resource/extension/1/x",
	},
	"diagnosticreport-create/caller-presented-form": {
		"/entry/2/resource/presentedForm/0/https:~1~1lab.example~1own",
		"/entry/2/resource/code/unknown",
	},
	// pages is of FHIR R5.
	"observation-create/caller-extension": {
		"/entry/2/resource/lab_own",
		"/entry/2/resource/extension/1/valueAttachment/pages",
	},
}

type message struct {
	name string // operation/case
	file string // upload.json or embed.json
	raw  []byte
}

// messages reads the FHIR messages among the golden files. It fails when an
// operation has none.
func messages(t *testing.T) []message {
	t.Helper()
	found := map[string]int{
		"documentreference-create": 0,
		"diagnosticreport-create":  0,
		"diagnosticreport-amend":   0,
		"observation-create":       0,
	}
	cases, err := filepath.Glob(filepath.Join(goldenRoot, "*", "*", "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []message
	for _, job := range cases {
		dir := filepath.Dir(job)
		operation := filepath.Base(filepath.Dir(dir))
		for _, file := range []string{"upload.json", "embed.json"} {
			raw, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if _, dataModel := decode(t, raw).(map[string]any)["Meta"]; dataModel {
				continue
			}
			found[operation]++
			list = append(list, message{operation + "/" + filepath.Base(dir), file, raw})
		}
	}
	for operation, n := range found {
		if n == 0 {
			t.Fatalf("%s has no messages of %s", goldenRoot, operation)
		}
	}
	return list
}

func TestGolden(t *testing.T) {
	met := map[string]bool{}
	for _, m := range messages(t) {
		t.Run(m.name+"/"+m.file, func(t *testing.T) {
			unknown, ok := invalidOnPurpose[m.name]
			if !ok {
				accepted(t, m.raw)
				return
			}
			met[m.name] = true
			refusedForThese(t, m.raw, unknown)
		})
	}
	for name := range invalidOnPurpose {
		if !met[name] {
			t.Errorf("%s is said to be invalid and is not among the golden files", name)
		}
	}
}

// accepted checks that raw is read, and that what was understood, written
// again, says the same.
func accepted(t *testing.T, raw []byte) {
	t.Helper()
	resource, err := unmarshaller(t).Unmarshal(raw)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	m, err := jsonformat.NewMarshaller(false, "", "", fhirversion.R4)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(decode(t, again), decode(t, raw)) {
		t.Errorf("it was understood as:\n%s", again)
	}
}

// refusedForThese checks that raw is refused because of each of the unknown
// members, and because of nothing else.
func refusedForThese(t *testing.T, raw []byte, unknown []string) {
	t.Helper()
	refused(t, raw)
	for _, kept := range unknown {
		others := slices.DeleteFunc(slices.Clone(unknown), func(p string) bool { return p == kept })
		refused(t, without(t, raw, others))
	}
	accepted(t, without(t, raw, unknown))
}

func refused(t *testing.T, raw []byte) {
	t.Helper()
	if _, err := unmarshaller(t).Unmarshal(raw); err == nil {
		t.Errorf("accepted:\n%s", raw)
	}
}

func without(t *testing.T, raw []byte, pointers []string) []byte {
	t.Helper()
	doc := decode(t, raw)
	for _, p := range pointers {
		remove(t, doc, p)
	}
	return encode(t, doc)
}

func unmarshaller(t *testing.T) *jsonformat.Unmarshaller {
	t.Helper()
	u, err := jsonformat.NewUnmarshaller("UTC", fhirversion.R4)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// decode keeps the digits of numbers as they are.
func decode(t *testing.T, raw []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func encode(t *testing.T, doc any) []byte {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestBoundsFitTheSchemas: that the validator sees a part of a long array or a
// large object changes no verdict only while the schemas are like this.
func TestBoundsFitTheSchemas(t *testing.T) {
	if maxKept <= MaxProblems || maxGathered <= MaxProblems {
		t.Error("too few are looked at")
	}
	endless := 0
	var shapes func(name string, s *shape)
	shapes = func(name string, s *shape) {
		if s == nil {
			return
		}
		if s.endless {
			endless++
			if len(s.items.schemas) != 1 {
				t.Errorf("%s has %d schemas for the items of one array, of which one could refuse what another lets pass", name, len(s.items.schemas))
			}
		}
		for field, f := range s.fields {
			shapes(name+"/"+field, f)
		}
		shapes(name+"/*", s.rest)
		shapes(name+"/0", s.items)
	}
	for name, c := range map[string]*contract{"job": jobContract(), "event": eventContract(), "audit": auditContract()} {
		shapes(name, c.shape)
		checkBounds(t, c.root, map[*jsonschema.Schema]bool{})
	}
	if endless == 0 {
		t.Error("no array is without a bound")
	}
}

func checkBounds(t *testing.T, s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for _, bound := range []*int{s.MinItems, s.MaxItems, s.MinProperties, s.MaxProperties} {
		if bound != nil && *bound >= maxKept {
			t.Errorf("%s has the bound %d", s.Location, *bound)
		}
	}
	more, ok := s.AdditionalProperties.(*jsonschema.Schema)
	if ok && s.MaxProperties == nil {
		t.Errorf("%s looks at any number of fields", s.Location)
	}
	if s.UniqueItems || s.Contains != nil || s.PropertyNames != nil || s.UnevaluatedItems != nil || s.UnevaluatedProperties != nil ||
		len(s.PrefixItems)+len(s.PatternProperties)+len(s.DependentRequired)+len(s.DependentSchemas) > 0 {
		t.Errorf("%s has a rule that is not known here", s.Location)
	}
	checkBounds(t, more, seen)
	checkBounds(t, s.Items2020, seen)
	for _, p := range s.Properties {
		checkBounds(t, p, seen)
	}
	for _, b := range branches(s) {
		checkBounds(t, b, seen)
	}
}

// TestLongArraysAreJudgedWhole breaks one item of a long array, or many of them.
func TestLongArraysAreJudgedWhole(t *testing.T) {
	dataModel := strings.NewReplacer("documentreference-create", "notes-new", "slug", "id").Replace(string(read(t, "examples/job/smallest.json")))
	for what, c := range map[string]struct {
		contract             *contract
		doc, old, good, path string
		unminded             bool
	}{
		"entries":    {jobContract(), string(read(t, "examples/job/smallest.json")), `"patient":`, `{"resourceType":"A"}`, "/message/entries/", false},
		"no entries": {jobContract(), dataModel, `"patient":`, `{"resourceType":"A"}`, "", true},
		"log ids":    {eventContract(), string(read(t, "examples/event/accepted.json")), `"log_ids": [`, `"a"`, "/data/receipt/log_ids/", false},
	} {
		for _, n := range []int{1, maxKept - 1, maxKept, maxKept + 1, 2 * maxKept, 2*maxKept + 1, 5 * maxKept} {
			for _, broken := range [][2]int{{0, 0}, {0, 1}, {n - 1, n}, {n / 2, n/2 + 1}, {1, n}, {max(0, n-2*maxKept), n}} {
				list := strings.Split(strings.Repeat(c.good+" ", n), " ")[:n]
				for i := broken[0]; i < broken[1]; i++ {
					list[i] = "7"
				}
				array := strings.Join(list, ",")
				doc := strings.Replace(c.doc, c.old, `"entries": [`+array+`], `+c.old, 1)
				if what == "log ids" {
					doc = strings.Replace(c.doc, c.old, c.old+array+",", 1)
				}
				where := fmt.Sprintf("%s: %d of which %v are broken", what, n, broken)
				problems := c.contract.problems([]byte(doc), nil)
				if kept := c.contract.keptBy([]byte(doc), nil); kept != (len(problems) == 0) || kept != (validates(t, c.contract, doc)) {
					t.Errorf("%s: kept: %v, problems: %v", where, kept, problems)
				}
				if c.unminded || broken[0] >= broken[1] {
					continue
				}
				if e := invalid(problems); len(problems) == 0 || e.Problems[0].Path != c.path+fmt.Sprint(broken[0]) ||
					len(e.Problems) != min(MaxProblems, broken[1]-broken[0]) {
					t.Errorf("%s: %v", where, e)
				}
			}
		}
	}
}

// validates is the library's own word on the whole document.
func validates(t *testing.T, c *contract, doc string) bool {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(doc)))
	if err != nil {
		t.Fatal(err)
	}
	return c.root.Validate(v) == nil
}

// TestCountsAreOfTheDocument: not of the part that the validator saw.
func TestCountsAreOfTheDocument(t *testing.T) {
	job := string(read(t, "examples/job/smallest.json"))
	files := strings.Replace(job, `"files": [`, `"files": [`+strings.Repeat(`{"bucket": "abc", "key": "k"}, `, 3*maxKept), 1)
	var labels strings.Builder
	for i := range 3 * maxKept {
		fmt.Fprintf(&labels, `"label%d": "a", `, i)
	}
	labeled := strings.Replace(job, "{", `{"correlation": {`+labels.String()+`"z": "a"}, `, 1)
	for doc, want := range map[string]string{
		files:   "not valid (job a): /files has 301 items and must have at most 10 (too_many)",
		labeled: "not valid (job a): /correlation has 301 fields and must have at most 16 (too_many)",
	} {
		if _, err := DecodeJob([]byte(doc)); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestTheFirstProblemsAreShown: also where not all are looked for.
func TestTheFirstProblemsAreShown(t *testing.T) {
	var unknown, twice strings.Builder
	for i := range 3 * maxKept {
		fmt.Fprintf(&unknown, `"x%d": 0, `, i)
		fmt.Fprintf(&twice, `"x%d": 0, "x%[1]d": 0, `, i)
	}
	job := string(read(t, "examples/job/smallest.json"))
	for doc, code := range map[string]string{
		strings.Replace(job, "{", "{"+unknown.String(), 1):                                                                 "unknown_field",
		strings.Replace(job, `"resourceType": "Patient"`, twice.String()+`"resourceType": "Patient"`, 1):                   "duplicate_key",
		strings.Replace(job, `"resourceType": "Patient"`, twice.String()+`"resourceType": "Patient", "id": }`, 1):          "duplicate_key",
		strings.Replace(job, `"resourceType": "Patient"`, `"k": {`+twice.String()+`"k": 0}, "resourceType": "Patient"`, 1): "duplicate_key",
	} {
		_, err := DecodeJob([]byte(doc))
		e, ok := errors.AsType[*Invalid](err)
		if !ok || len(e.Problems) != MaxProblems || e.More < maxGathered-MaxProblems {
			t.Fatalf("%v", err)
		}
		for i, p := range e.Problems {
			if p.Code != code || p.Key() != fmt.Sprintf("x%d", i) {
				t.Errorf("problem %d is %s of %q", i, p.Code, p.Key())
			}
		}
	}
	// The same key for ever is one problem, and hides no other.
	_, err := DecodeJob([]byte(strings.Replace(job, "{", "{"+strings.Repeat(`"id": "a", `, 3*maxKept)+`"operation": "notes-new",`, 1)))
	if e, ok := errors.AsType[*Invalid](err); !ok || !strings.HasPrefix(codes(e), "/id duplicate_key\n/operation duplicate_key") {
		t.Errorf("%v", err)
	}
}

package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixtures lists the files of a pattern and fails when there are none.
func fixtures(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("examples", pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures %s (%v)", pattern, err)
	}
	return names
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestValidJobs(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range fixtures(t, "job/*.json") {
		job, err := DecodeJob(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen[job.Operation] = true
	}
	for _, op := range Operations() {
		if !seen[op] {
			t.Errorf("no example of %s", op)
		}
	}
}

// TestInvalidJobs holds each broken job to the problems in the .want file
// beside it: a path ("(root)" for the document) and a code a line, in order.
func TestInvalidJobs(t *testing.T) {
	wants := len(fixtures(t, "job-invalid/*.want"))
	names := fixtures(t, "job-invalid/*.json")
	if wants != len(names) {
		t.Errorf("%d jobs and %d .want files", len(names), wants)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want := strings.TrimSpace(string(read(t, strings.TrimSuffix(name, ".json")+".want")))
			_, err := DecodeJob(read(t, name))
			e, ok := errors.AsType[*Invalid](err)
			if !ok {
				t.Fatalf("error %T %v", err, err)
			}
			if got := codes(e); got != want {
				t.Errorf("got\n%s\nwant\n%s\nerror: %v", got, want, err)
			}
			for _, p := range e.Problems {
				if p.Text == "" || p.Code == "schema" {
					t.Errorf("%v is not put into words", p)
				}
			}
		})
	}
}

func codes(e *Invalid) string {
	var lines []string
	for _, p := range e.Problems {
		path := p.Path
		if path == "" {
			path = "(root)"
		}
		lines = append(lines, path+" "+p.Code)
	}
	return strings.Join(lines, "\n")
}

func TestMessageKeepsItsBytes(t *testing.T) {
	const message = "{ \"patient\" : {\"resourceType\":\"Patient\",\"n\":1.10e+02,\"big\":123456789012345678901234567890.5,\"é<&>\":\"\\u00e9\\/<\"},\n\t\"resource\":{\"resourceType\":\"DocumentReference\"}}"
	var small map[string]json.RawMessage
	if err := json.Unmarshal(read(t, "examples/job/smallest.json"), &small); err != nil {
		t.Fatal(err)
	}
	data := fmt.Appendf(nil, `{"message":%s`, message)
	for name, value := range small {
		if name != "message" {
			data = fmt.Appendf(data, ",%q:%s", name, value)
		}
	}
	data = append(data, '}')
	job, err := DecodeJob(data)
	if err != nil {
		t.Fatal(err)
	}
	if string(job.Message) != message {
		t.Errorf("got %s", job.Message)
	}
	clear(data)
	if string(job.Message) != message {
		t.Error("the message shares memory with the input")
	}
}

// The event and the job of an empty correlation and of none are the same.
func TestEmptyCorrelationIsNone(t *testing.T) {
	in := strings.Replace(string(read(t, "examples/job/smallest.json")), "{", `{"correlation":{},`, 1)
	job, err := DecodeJob([]byte(in))
	if err != nil || job.Correlation != nil {
		t.Errorf("%v, %v", job.Correlation, err)
	}
}

func TestSize(t *testing.T) {
	small := read(t, "examples/job/smallest.json")
	full := append(small, bytes.Repeat([]byte(" "), MaxJobSize-len(small))...)
	if _, err := DecodeJob(full); err != nil {
		t.Errorf("a job of exactly MaxJobSize: %v", err)
	}
	_, err := DecodeJob(append(full, ' '))
	e, ok := errors.AsType[*Invalid](err)
	if !ok || codes(e) != "(root) too_large" || e.JobID != "a" {
		t.Errorf("one byte more: %v", err)
	}
}

func TestDepthIsAllowedUpToItsBound(t *testing.T) {
	job := string(read(t, "examples/job/smallest.json"))
	inside := MaxDepth - 3 // the job, message and resource are open around it
	deep := strings.Replace(job, `"resourceType": "DocumentReference"`,
		`"resourceType": "DocumentReference", "x": `+strings.Repeat("[", inside)+strings.Repeat("]", inside), 1)
	if deep == job {
		t.Fatal("the example has changed")
	}
	if _, err := DecodeJob([]byte(deep)); err != nil {
		t.Error(err)
	}
	// Quotes and brackets in a string before it must not confuse the count.
	for _, before := range []string{"", `"q": "\"", `, `"q": "\\", `, `"q": "]]]\"]]]", `, `"]}": "\\\"", `} {
		deeper := strings.Replace(deep, `"x": [`, before+`"x": [[`, 1)
		deeper = strings.Replace(deeper, "[]", "[]]", 1)
		_, err := DecodeJob([]byte(deeper))
		if e, ok := errors.AsType[*Invalid](err); !ok || len(e.Problems) != 1 || e.Problems[0].Code != "too_deep" {
			t.Errorf("one level more after %s: %v", before, err)
		}
	}
}

func TestSalvage(t *testing.T) {
	for _, c := range []struct{ in, id, operation string }{
		{`{"id":"a-1","operation":"notes-new"}`, "a-1", "notes-new"},
		{`{"files":[{"x":[1]}],"id":"a-1","operation":"notes-old"}`, "a-1", ""},
		{`{"id":"a-1","operation":"notes-new","files":[`, "a-1", "notes-new"},
		{`{"id":"a-1","x":"` + "\xff" + `","operation":"notes-new"}`, "a-1", "notes-new"},
		{`{"x":"` + "\xff" + `","id":"a-1"}`, "a-1", ""},
		{`{"id":"a-1"} trailing`, "a-1", ""},
		{`{"id":"a-1","id":"a-2","operation":"notes-new"}`, "", "notes-new"},
		{`{"id":"a-1","\u0069d":7}`, "", ""},
		{`{"id":"a-1","operation":"notes-new","operation":"notes-new"}`, "a-1", ""},
		{`{"id":"a 1"}`, "", ""},
		{`{"id":7}`, "", ""},
		{`{"id":{"id":"a-1"}}`, "", ""},
		{`{"message":{"id":"a-1","operation":"notes-new"}}`, "", ""},
		{`{"id":"a-1`, "", ""},
		{`["id","a-1"]`, "", ""},
		{``, "", ""},
	} {
		_, err := DecodeJob([]byte(c.in))
		e, ok := errors.AsType[*Invalid](err)
		if !ok || e.JobID != c.id || e.Operation != c.operation {
			t.Errorf("%q: %+v", c.in, e)
		}
	}
}

func TestProblemsAreCapped(t *testing.T) {
	var b strings.Builder
	for i := range MaxProblems + 5 {
		fmt.Fprintf(&b, `"x%d":0,`, i)
	}
	job := strings.Replace(string(read(t, "examples/job/smallest.json")), "{", "{"+b.String(), 1)
	_, err := DecodeJob([]byte(job))
	e, ok := errors.AsType[*Invalid](err)
	if !ok || len(e.Problems) != MaxProblems || e.More != 5 || !strings.HasSuffix(err.Error(), "and 5 more") {
		t.Fatalf("%v", err)
	}
	for i, p := range e.Problems {
		if p.Key() != fmt.Sprintf("x%d", i) {
			t.Errorf("problem %d is of %q", i, p.Key())
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Error("the error has more than one line")
	}
}

func TestKnownNameIsSuggested(t *testing.T) {
	for key, want := range map[string]string{
		"sourceId": "source_id", "SOURCE-ID": "source_id", "requestedAt": "requested_at", "expiers_at": "expires_at",
		"Files": "files", "corelation": "correlation", "mesage": "message",
		"xy": "", "ix": "", "priority": "", "smith": "", strings.Repeat("id", 40): "",
	} {
		job := strings.Replace(string(read(t, "examples/job/smallest.json")), "{", fmt.Sprintf("{%q:0,", key), 1)
		_, err := DecodeJob([]byte(job))
		e, ok := errors.AsType[*Invalid](err)
		if !ok || len(e.Problems) != 1 {
			t.Fatalf("%s: %v", key, err)
		}
		_, got, _ := strings.Cut(e.Problems[0].Text, "did you mean ")
		if strings.TrimSuffix(got, "?") != want {
			t.Errorf("%s: %s", key, e.Problems[0].Text)
		}
		if e.Problems[0].Key() != key {
			t.Errorf("%s: Key is %q", key, e.Problems[0].Key())
		}
	}
}

// A number with a huge exponent costs exact arithmetic gigabytes.
func TestHugeNumbersAreCheap(t *testing.T) {
	event := string(read(t, "examples/event/accepted.json"))
	huge := strings.Replace(event, `"attempt": 1`, `"attempt": 1e999999999`, 1)
	_, err := DecodeEvent([]byte(huge))
	e, ok := errors.AsType[*Invalid](err)
	if !ok || codes(e) != "/data/attempt type" {
		t.Errorf("%v", err)
	}
}

// BenchmarkDecodeJob pads a job inside a resource, where the schema does not
// look, and with further resources, each of which it checks.
func BenchmarkDecodeJob(b *testing.B) {
	job := string(read(b, "examples/job/documentreference-create.json"))
	const resource = `{"resourceType":"Observation","status":"final","code":{"text":"sodium"},"valueQuantity":{"value":140.0,"unit":"mmol/L"}},`
	for _, size := range []int{len(job), 3 << 10, 64 << 10} {
		pad := strings.Repeat(resource, max(0, size-len(job))/len(resource))
		for what, padded := range map[string]string{
			"inside":  strings.Replace(job, `"status": "current"`, `"contained": [`+strings.TrimSuffix(pad, ",")+`], "status": "current"`, 1),
			"entries": strings.Replace(job, `"entries": [`, `"entries": [`+pad, 1),
		} {
			b.Run(fmt.Sprintf("%s/%dKB", what, (len(padded)+512)>>10), func(b *testing.B) {
				data := []byte(padded)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := DecodeJob(data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

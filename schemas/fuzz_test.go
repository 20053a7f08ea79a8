package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecodeJob(f *testing.F) {
	for _, pattern := range []string{"job/*.json", "job-invalid/*.json"} {
		for _, name := range fixtures(f, pattern) {
			f.Add(read(f, name))
		}
	}
	for _, doc := range hostile(f, 1_500) {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		job, err := DecodeJob(data)
		c := jobContract()
		if kept, problems := c.keptBy(data, jobRules), c.problems(data, jobRules); kept != (len(problems) == 0) && len(data) <= MaxJobSize {
			t.Fatalf("kept: %v, problems: %v", kept, problems)
		}
		if err != nil {
			checkInvalid(t, data, err)
			return
		}
		if !bytes.Contains(data, job.Message) {
			t.Fatal("the message is not the caller's bytes")
		}
		encoded, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeJob(encoded)
		if err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
		if !sameJSON(t, job.Message, again.Message) || !job.RequestedAt.Equal(again.RequestedAt) || !job.ExpiresAt.Equal(again.ExpiresAt) {
			t.Fatalf("got %+v\nwant %+v", again, job)
		}
		again.Message, again.RequestedAt, again.ExpiresAt = job.Message, job.RequestedAt, job.ExpiresAt
		if !reflect.DeepEqual(job, again) {
			t.Fatalf("got %+v\nwant %+v", again, job)
		}
		plantCanaries(t, data)
	})
}

func checkInvalid(t *testing.T, data []byte, err error) {
	e, ok := errors.AsType[*Invalid](err)
	if !ok || len(e.Problems) == 0 || len(e.Problems) > MaxProblems {
		t.Fatalf("%T %v", err, err)
	}
	if e.JobID != "" && !ValidJobID(e.JobID) || e.Operation != "" && !KnownOperation(e.Operation) {
		t.Fatalf("recovered %q %q", e.JobID, e.Operation)
	}
	text := err.Error()
	if !utf8.ValidString(text) || strings.Contains(text, "\n") {
		t.Fatalf("%q", text)
	}
	plantCanaries(t, data)
}

// plantCanaries puts a canary into up to 8 strings of data, keys and values
// alike, and looks for it in what comes of that. The canary has a space, so
// that it is never part of a JobID, which may be shown.
func plantCanaries(t *testing.T, data []byte) {
	if bytes.Contains(data, []byte("Zebedee")) {
		return
	}
	quotes := bytes.Count(data, []byte{'"'})
	at, seen := 0, 0
	for i, b := range data {
		if b != '"' {
			continue
		}
		seen++
		if (seen-1)*8/quotes < at {
			continue
		}
		at++
		planted := bytes.Join([][]byte{data[:i+1], data[i+1:]}, []byte(" Zebedee "))
		if _, err := DecodeJob(planted); err != nil && strings.Contains(outputs(err), "Zebedee") {
			t.Fatalf("%s\n%s", planted, outputs(err))
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	var values [2]any
	for i, data := range [][]byte{a, b} {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&values[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

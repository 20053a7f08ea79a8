package schemas

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostile are documents of up to about size bytes, made to cost whoever reads
// them as much as they can.
func hostile(t testing.TB, size int) map[string]string {
	small := func(name string) string { return string(read(t, "examples/"+name)) }
	job, event, audit := small("job/smallest.json"), small("event/accepted.json"), small("audit/lane-pause.json")
	fill := func(s, sep string) string { return strings.Repeat(s+sep, max(1, size/len(s+sep)-1)) + s }
	count := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	put := func(doc, field, value string) string {
		return strings.Replace(doc, "{", fmt.Sprintf("{%q: %s, ", field, value), 1)
	}
	files := func(file string) string {
		return `{"id": "a", "operation": "observation-create", "files": [` + fill(file, ",") + `]}`
	}
	entries := func(entry string) string {
		return strings.Replace(job, `"patient":`, `"entries": [`+fill(entry, ",")+`], "patient":`, 1)
	}
	inside := func(members string) string {
		return strings.Replace(job, `"resourceType": "Patient"`, `"resourceType": "Patient", `+members, 1)
	}
	half := strings.Repeat("k", size/2)
	all := map[string]string{
		"files are numbers":        files("0"),
		"files are empty":          files("{}"),
		"files are arrays":         files("[]"),
		"files are unknown":        files(`{"a":0,"b":0}`),
		"files are good":           files(`{"bucket":"abc","key":"k"}`),
		"entries are numbers":      entries("0"),
		"entries are empty":        entries("{}"),
		"entries are good":         put(entries(`{"resourceType":"A"}`), "x", "0"),
		"entries are unknown":      entries(`{"a":0}`),
		"unknown fields":           "{" + count(`"k%d":0,`) + `"id":0}`,
		"fields nearly known":      "{" + count(`"source_%d":0,`) + `"id":0}`,
		"unknown in message":       strings.Replace(job, `"patient":`, count(`"k%d":0,`)+`"patient":`, 1),
		"unknown inside":           put(inside(count(`"k%d":0,`)+`"z":0`), "x", "0"),
		"one key":                  "{" + fill(`"k":0`, ",") + "}",
		"one known key":            "{" + fill(`"id":"a"`, ",") + "}",
		"one key, often twice":     "[" + fill(`{"k":0,"k":0}`, ",") + "]",
		"one key twice, deep":      strings.Repeat(`{"k":`, 60) + "{" + fill(`"k":0`, ",") + "}" + strings.Repeat("}", 60),
		"many keys twice":          put(inside(count(`"k%d":0,"k%[1]d":0,`)+`"z":0`), "x", "0"),
		"objects of one key":       put(inside(`"z":[`+fill(`{"":0}`, ",")+"]"), "x", "0"),
		"empty objects":            "[" + fill("{}", ",") + "]",
		"empty arrays":             put(job, "id", "["+fill("[]", ",")+"]"),
		"numbers":                  put(job, "id", "["+fill("1", ",")+"]"),
		"a long key":               `{"` + half + `":[` + strings.Repeat("1,", size/4) + "1]}",
		"a long key of slashes":    `{"` + strings.Repeat("~/", size/2) + `":0}`,
		"a long key in files":      `{"files":[{"` + half + `":[` + strings.Repeat("{},", size/6) + "{}]}]}",
		"a long key, deep":         strings.Repeat(`{"`+half[:len(half)/32]+`":`, 60) + "0" + strings.Repeat("}", 60),
		"a long id":                put(job, "id", `"`+half+half+`"`),
		"a long number":            put(job, "id", strings.Repeat("9", size)),
		"labels":                   put(job, "correlation", "{"+count(`"k%d":0,`)+`"z":""}`),
		"good labels":              put(job, "correlation", "{"+count(`"k%d":"",`)+`"z":""}`),
		"a deep array":             strings.Repeat("[", size),
		"a deep object":            strings.Repeat(`{"":`, size/4),
		"a deep object of entries": strings.Replace(job, `"patient":`, `"entries": [`+strings.Repeat(`{"":`, size/4), 1),
		"event's log ids":          strings.Replace(event, `"log_ids": [`, `"log_ids": [`+fill("0", ",")+",", 1),
		"event's good log ids":     strings.Replace(strings.Replace(event, `"log_ids": [`, `"log_ids": [`+fill(`""`, ",")+",", 1), "{", `{"x": 0, `, 1),
		"event's files":            strings.Replace(event, `"files": [`, `"files": [`+fill("{}", ",")+",", 1),
		"event's labels":           strings.Replace(event, `"correlation": {`, `"correlation": {`+count(`"k%d":0,`), 1),
		"audit's parameters":       strings.Replace(audit, `"parameters": {`, `"parameters": {`+count(`"k%d":0,`), 1),
	}
	for name, doc := range all {
		switch doc {
		case job, event, audit:
			t.Fatalf("%s: the example has changed", name)
		}
	}
	return all
}

// TestHostileDocumentsAreCheap: a worker has 256 MiB for all its jobs.
func TestHostileDocumentsAreCheap(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"job":   func(d []byte) error { _, err := DecodeJob(d); return err },
		"event": func(d []byte) error { _, err := DecodeEvent(d); return err },
		"audit": func(d []byte) error { _, err := DecodeAudit(d); return err },
	}
	// What is made once is not counted.
	jobContract()
	eventContract()
	auditContract()
	for name, doc := range hostile(t, MaxJobSize-2_000) {
		data := []byte(doc)
		if len(data) > MaxJobSize || len(data) < MaxJobSize/2 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		most := uint64(100 << 20)
		if strings.Contains(name, "good") {
			most *= 4 // each item is judged by itself, and forgotten
		}
		for what, decode := range decoders {
			if what != "job" && !strings.HasPrefix(name, what) {
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := decode(data)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%s, read as %s: %d MB were allocated", name, what, used>>20)
			}
			e, ok := errors.AsType[*Invalid](err)
			if !ok || len(e.Problems) == 0 || len(e.Problems)+e.More > 3*maxGathered {
				t.Errorf("%s, read as %s: %T of %d and %d problems", name, what, err, len(e.Problems), e.More)
			}
		}
	}
}

// TestOutlinesAreSmall: what is held while a document is judged does not grow
// with it.
func TestOutlinesAreSmall(t *testing.T) {
	for name, doc := range hostile(t, 100_000) {
		for _, c := range []*contract{jobContract(), eventContract(), auditContract()} {
			outline, problems := parse([]byte(doc), c)
			if len(problems) > maxGathered+1 {
				t.Errorf("%s has %d problems", name, len(problems))
			}
			if outline != nil && len(outline.offsets) > 4*maxKept {
				t.Errorf("%s has %d places", name, len(outline.offsets))
			}
		}
	}
}

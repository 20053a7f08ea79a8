package schemas

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxJobSize is the most bytes of a job. The default max_payload of a NATS
// server is 1,048,576 bytes and counts headers too: the difference leaves room
// for those that a schedule or a dead letter puts on the same job.
const MaxJobSize = 1_000_000

// MaxCorrelation is the most bytes of a job's correlation, names and values
// together. It is echoed in every event.
const MaxCorrelation = 1 << 10

// maxKey is S3's limit on object keys, in bytes of UTF-8.
const maxKey = 1024

// DecodeJob reads a job and holds it to job.v1.schema.json and to the rules a
// schema cannot state: at most MaxJobSize bytes of UTF-8, one document, no key
// twice in any object, at most MaxDepth levels, keys of at most 1,024 bytes,
// after other than id, expires_at after requested_at, at most MaxCorrelation bytes of correlation.
//
// Job.Message holds the bytes of the input unchanged, white space included.
// The error is always an *Invalid.
func DecodeJob(data []byte) (Job, error) {
	var job Job
	if problems := decode(data, jobContract(), jobRules, &job); problems != nil {
		e := invalid(problems)
		e.JobID, e.Operation = recoverID(data)
		return Job{}, e
	}
	if len(job.Correlation) == 0 {
		job.Correlation = nil
	}
	return job, nil
}

// DecodeEvent reads an event as strictly as DecodeJob reads a job. The error
// is always an *Invalid, without JobID.
func DecodeEvent(data []byte) (Event, error) {
	var event Event
	if problems := decode(data, eventContract(), nil, &event); problems != nil {
		return Event{}, invalid(problems)
	}
	return event, nil
}

// decode fills into, or says why not. rules are those that a schema cannot state; nil
// is none.
func decode(data []byte, c *contract, rules func(doc map[string]any) []Problem, into any) []Problem {
	if problems := tooLarge(data); problems != nil {
		return problems
	}
	if problems := c.judge(data, rules); len(problems) > 0 {
		return problems
	}
	return fill(data, into)
}

func tooLarge(data []byte) []Problem {
	if len(data) <= MaxJobSize {
		return nil
	}
	return []Problem{{Code: "too_large", Text: fmt.Sprintf("has %d bytes and must have at most %d", len(data), MaxJobSize)}}
}

// fill reads into into what judge has found nothing against.
func fill(data []byte, into any) []Problem {
	// judge has looked for keys twice already.
	if err := jsonv2.Unmarshal(data, into, jsontext.AllowDuplicateNames(true)); err != nil {
		return []Problem{{Code: "schema", Text: "follows the schema but could not be read"}}
	}
	return nil
}

// judge finds the problems of data, the first maxGathered of a sort: none where
// there is none, and else one at least. Nearly all documents have none, so that what
// explains a problem is gathered in a second reading.
func (k *contract) judge(data []byte, rules func(doc map[string]any) []Problem) []Problem {
	if k.keptBy(data, rules) {
		return nil
	}
	return k.problems(data, rules)
}

// problems is the second reading.
func (k *contract) problems(data []byte, rules func(doc map[string]any) []Problem) []Problem {
	doc, problems := parse(data, k)
	if doc == nil {
		return problems
	}
	problems = append(problems, k.check(doc)...)
	if object, ok := doc.root.(map[string]any); ok && rules != nil {
		for _, p := range rules(object) {
			p.at = doc.at(p.Path) // no path of a rule holds a "*"
			problems = append(problems, p)
		}
	}
	return problems
}

// keptBy reports whether data keeps the contract and the rules.
func (k *contract) keptBy(data []byte, rules func(doc map[string]any) []Problem) bool {
	root, ok := parseQuietly(data, k)
	if !ok || k.root.Validate(root) != nil {
		return false
	}
	object, ok := root.(map[string]any)
	return rules == nil || ok && len(rules(object)) == 0
}

// invalid sorts, drops repeats (two rules can refuse one thing) and caps.
func invalid(problems []Problem) *Invalid {
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.at, b.at) })
	e := &Invalid{}
	seen := map[[3]string]bool{}
	for _, p := range problems {
		id := [3]string{p.Path, p.Code, p.Key()}
		switch {
		case seen[id]:
		case len(e.Problems) == MaxProblems:
			e.More++
		default:
			e.Problems = append(e.Problems, p)
		}
		seen[id] = true
	}
	return e
}

// recoverID reads the id and the operation of a job that is not valid, as far
// as its JSON can be read.
func recoverID(data []byte) (id, operation string) {
	data = data[:min(len(data), MaxJobSize)]
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return "", ""
	}
	seen := map[string]int{}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			break
		}
		field := name.String()
		if field != "id" && field != "operation" {
			if dec.SkipValue() != nil {
				break
			}
			continue
		}
		if seen[field]++; seen[field] > 1 {
			if dec.SkipValue() != nil {
				break
			}
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			break
		}
		var s string
		if json.Unmarshal(value, &s) != nil {
			continue
		}
		if field == "id" && ValidJobID(s) {
			id = s
		}
		if field == "operation" && KnownOperation(s) {
			operation = s
		}
	}
	if seen["id"] > 1 {
		id = ""
	}
	if seen["operation"] > 1 {
		operation = ""
	}
	return id, operation
}

// ValidJobID reports whether id is 1 to 128 of [A-Za-z0-9_-].
func ValidJobID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if !plain(id[i]) && id[i] != '_' {
			return false
		}
	}
	return true
}

// jobRules are the rules of a job that JSON Schema cannot state.
func jobRules(job map[string]any) []Problem {
	var problems []Problem
	files, _ := job["files"].([]any)
	for i, f := range files[:min(len(files), maxKept)] {
		file, _ := f.(map[string]any)
		if key, _ := file["key"].(string); len(key) > maxKey {
			problems = append(problems, Problem{Path: fmt.Sprintf("/files/%d/key", i), Code: "too_long",
				Text: fmt.Sprintf("has %d bytes and must have at most %d", len(key), maxKey)})
		}
	}
	if size := correlationSize(job); size > MaxCorrelation {
		problems = append(problems, Problem{Path: "/correlation", Code: "too_large",
			Text: fmt.Sprintf("has %d bytes of names and values and must have at most %d", size, MaxCorrelation)})
	}
	if after, _ := job["after"].(string); after != "" && after == job["id"] {
		problems = append(problems, Problem{Path: "/after", Code: "after_itself", Text: "is the job's own id: name the job that must be accepted first, or leave it out"})
	}
	requested, ok := timeOf(job["requested_at"])
	if expires, set := timeOf(job["expires_at"]); ok && set && !expires.After(requested) {
		problems = append(problems, Problem{Path: "/expires_at", Code: "expires_before_request", Text: "must be later than requested_at"})
	}
	return problems
}

func correlationSize(job map[string]any) int {
	size := 0
	labels, _ := job["correlation"].(map[string]any)
	if len(labels) == maxKept {
		return 0 // perhaps not all of them are there, and they are too many already
	}
	for name, value := range labels {
		s, _ := value.(string)
		size += len(name) + len(s)
	}
	return size
}

func timeOf(v any) (time.Time, bool) {
	var t time.Time
	s, ok := v.(string)
	if !ok || t.UnmarshalText([]byte(s)) != nil {
		return time.Time{}, false
	}
	return t, true
}

package planning

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Warning is what is unusual about some lines, and no fault.
type Warning struct {
	// Code is object_repeated or date_in_future.
	Code string `json:"code"`
	// Path is the place in the job.
	Path string `json:"path,omitempty"`
	Text string `json:"text"`
	// Lines is how many lines have it, and First is the first of them.
	Lines int64 `json:"lines"`
	First int64 `json:"first_line"`
}

// warn counts a line under a code and a place.
func (p *planner) warn(line int64, code, path, text string) {
	w := p.warnings[code+path]
	if w == nil {
		if len(p.warnings) >= mostWarnings {
			return
		}
		w = &Warning{Code: code, Path: path, Text: text, First: line}
		p.warnings[code+path] = w
	}
	w.Lines++
	w.First = min(w.First, line)
}

// mostWarnings bounds the places that are told apart.
const mostWarnings = 100

// repeatedObject notes a line that has a file of an earlier line. A mark's line is known, and
// two files of one line are two marks of it.
func (p *planner) repeatedObject(line, first int64) {
	if line != first {
		p.warn(line, "object_repeated", "/files", "the object is in an earlier line too: the same document would be sent twice")
	}
}

// tomorrow is how far a date may be ahead: it may be of another time zone.
const tomorrow = 24 * time.Hour

// futureDates gives the places of dates in a message that are later than a day from now. A
// date that is the end of something may be, so may a name's or identifier's period.
func futureDates(message []byte, now time.Time) []string {
	var paths []string
	latest := now.Add(tomorrow)
	dec := jsontext.NewDecoder(bytes.NewReader(message), jsontext.AllowDuplicateNames(true))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return paths // the end, or what the schema refuses anyway
		}
		if token.Kind() != '"' || isName(dec) {
			continue
		}
		at, ok := dateOf(token.String())
		if ok && at.After(latest) {
			if path := dec.StackPointer(); path.LastToken() != "end" {
				paths = append(paths, "/message"+string(path))
			}
		}
	}
}

// isName reports whether the token just read is the name of a member.
func isName(dec *jsontext.Decoder) bool {
	kind, read := dec.StackIndex(dec.StackDepth())
	return kind == '{' && read%2 == 1
}

// dateOf reads a date or a time as FHIR and the Data Model write them (FHIR R4, "Primitive
// Types": date, dateTime and instant).
func dateOf(text string) (time.Time, bool) {
	if len(text) < len("2006-01-02") || text[4] != '-' || text[7] != '-' {
		return time.Time{}, false
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// listWarnings puts the warnings in their order.
func (p *planner) listWarnings() []Warning {
	var all []Warning
	for _, w := range p.warnings {
		all = append(all, *w)
	}
	slices.SortFunc(all, func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Path, b.Path))
	})
	return all
}

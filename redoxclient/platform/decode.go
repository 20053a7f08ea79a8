package platform

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// envelope is every answer: {"meta":{…},"payload":…}.
type envelope struct {
	Meta    jsontext.Value `json:"meta"`
	Payload jsontext.Value `json:"payload"`
	Error   jsontext.Value `json:"error"`
	Errors  jsontext.Value `json:"errors"`
}

// failed reports whether an answer with status 200 tells of errors beside its list. Redox
// documents no such answer; a list that is empty for that reason would look like "none".
func (e *envelope) failed() bool {
	places := []members{{"error": e.Error, "errors": e.Errors}, object(e.Meta), object(e.Payload), object(object(e.Payload)["result"])}
	return slices.ContainsFunc(places, func(m members) bool { return says(m["error"]) || says(m["errors"]) })
}

// says reports whether a member is there and holds anything.
func says(raw jsontext.Value) bool {
	switch raw.Kind() {
	case '{':
		return len(object(raw)) > 0
	case '[':
		list, ok := array(raw)
		return !ok || len(list) > 0
	case '"':
		return text(raw) != ""
	}
	return raw.Kind() == 't' || raw.Kind() == '0' && text(raw) != "0"
}

type members = map[string]jsontext.Value

func (k call) read(body []byte) (*envelope, error) {
	var e envelope
	if json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &e, tolerant) != nil || len(e.Payload) == 0 {
		return nil, &Error{Op: k.op, Kind: Unreadable, Code: CodeNoJSON, Status: 200}
	}
	return &e, nil
}

// object reads the members of a JSON object; nil for anything else.
func object(raw jsontext.Value) members {
	var m members
	if raw.Kind() != '{' || json.Unmarshal(raw, &m, tolerant) != nil {
		return nil
	}
	return m
}

// array reads the elements of a JSON array.
func array(raw jsontext.Value) (list []jsontext.Value, ok bool) {
	if raw.Kind() != '[' || json.Unmarshal(raw, &list, tolerant) != nil {
		return nil, false
	}
	return list, true
}

// listNames are the members in which a search's list is looked for first. Redox
// shows no such answer; "environments" is documented for theirs.
var listNames = []string{"logs", "environments", "results", "result", "items", "data", "entries"}

// list finds the one list of the payload: the payload itself, a member of a likely
// name, or else its only array. What is below "result" counts too.
func (e *envelope) list() ([]jsontext.Value, bool) {
	level := e.Payload
	for range 2 {
		if list, ok := array(level); ok {
			return list, true
		}
		m := object(level)
		for _, name := range listNames {
			if list, ok := array(m[name]); ok {
				return list, true
			}
		}
		if list, ok := onlyArray(m); ok {
			return list, true
		}
		level = m["result"]
	}
	return nil, false
}

func onlyArray(m members) (only []jsontext.Value, ok bool) {
	for _, raw := range m {
		list, is := array(raw)
		if is && ok {
			return nil, false
		}
		if is {
			only, ok = list, true
		}
	}
	return only, ok
}

// cursor finds the next cursor: a text whose member's name says so, or the _cursor
// of a link called next. It looks in meta and payload, not into the list. Where it
// stands is not documented.
func (e *envelope) cursor() string {
	for _, raw := range []jsontext.Value{e.Payload, e.Meta} {
		if found := cursorIn(object(raw), 3); found != "" {
			return found
		}
	}
	return ""
}

func cursorIn(m members, depth int) string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text, lower := text(m[name]), strings.ToLower(name)
		switch {
		case text == "" || len(text) > 4096:
		case strings.Contains(lower, "cursor") && !backwards(lower):
			return text
		case lower == "next":
			if u, err := url.Parse(text); err == nil && u.Query().Get("_cursor") != "" {
				return u.Query().Get("_cursor")
			}
		}
	}
	for _, name := range names {
		if inner := object(m[name]); inner != nil && depth > 0 {
			if found := cursorIn(inner, depth-1); found != "" {
				return found
			}
		}
	}
	return ""
}

// backwards reports whether a cursor's name speaks of another page than the next.
func backwards(name string) bool {
	return slices.ContainsFunc([]string{"prev", "self", "current", "first", "last"}, func(word string) bool { return strings.Contains(name, word) })
}

// text is a JSON string or number as a string, and nothing for anything else.
func text(raw jsontext.Value) string {
	switch raw.Kind() {
	case '"':
		var s string
		if json.Unmarshal(raw, &s, tolerant) == nil {
			return s
		}
	case '0':
		return string(bytes.TrimSpace(raw))
	}
	return ""
}

package redoxclient

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tolerant: a repeated name or a bad UTF-8 byte in some text is no reason to
// call an answer unreadable, since that would make its outcome unknown.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// repeats are all values of one name of an object, in their order: where the
// name is repeated, what any of them reports is reported.
type repeats []jsontext.Value

// UnmarshalJSONFrom takes one value more.
func (r *repeats) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	value, err := in.ReadValue()
	if err == nil {
		*r = append(*r, value.Clone())
	}
	return err
}

func (r repeats) texts() (all []string) {
	for _, raw := range r {
		all = append(all, text(raw))
	}
	return all
}

// decodeEach reads those of raw that say anything.
func decodeEach[T any](v *verdict, raw repeats) (all []T) {
	for _, value := range raw {
		var one T
		if v.decode(value, &one) {
			all = append(all, one)
		}
	}
	return all
}

// decode reports whether raw was there and read; a shape that does not fit
// makes the answer unreadable.
func (v *verdict) decode(raw jsontext.Value, into any) bool {
	if !says(raw) {
		return false
	}
	if json.Unmarshal(raw, into, tolerant) != nil {
		v.unreadable = errShape
		return false
	}
	return true
}

// says reports whether raw is there and neither null nor empty nor false.
func says(raw jsontext.Value) bool {
	switch string(compact(raw)) {
	case "", "null", "[]", "{}", `""`, "false":
		return false
	}
	return true
}

// compact drops white space from small values; no large one is empty.
func compact(raw jsontext.Value) []byte {
	if len(raw) > 64 {
		return raw
	}
	return bytes.Join(bytes.Fields(raw), nil)
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

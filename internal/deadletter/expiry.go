package deadletter

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/schemas"
)

// expiring gives a job another expires_at and leaves every other byte of it; the
// zero time leaves that too. data is a job that DecodeJob takes.
func expiring(data []byte, at time.Time) ([]byte, error) {
	if at.IsZero() {
		return data, nil
	}
	value, err := json.Marshal(at.UTC().Truncate(time.Second))
	if err != nil {
		return nil, err
	}
	start, end, err := placeOf(data, "expires_at")
	if err != nil {
		return nil, err
	}
	if start == 0 {
		start = int64(bytes.IndexByte(data, '{')) + 1
		end, value = start, slices.Concat([]byte(`"expires_at":`), value, []byte(","))
	}
	out := slices.Concat(data[:start], value, data[end:])
	if _, err := schemas.DecodeJob(out); err != nil {
		return nil, &Refusal{"expiry", "the job does not take that expires_at; nothing was done"}
	}
	return out, nil
}

var errNoObject = errors.New("the job is no JSON object")

// placeOf is where the value of a field of an object begins and ends; 0 and 0
// where the object has no such field.
func placeOf(data []byte, field string) (start, end int64, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return 0, 0, errNoObject
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return 0, 0, errNoObject
		}
		found := name.String() == field
		value, err := dec.ReadValue()
		if err != nil {
			return 0, 0, errNoObject
		}
		if found {
			return dec.InputOffset() - int64(len(value)), dec.InputOffset(), nil
		}
	}
	return 0, 0, nil
}

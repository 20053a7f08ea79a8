package versioned

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

// record has the kinds of fields that records have.
type record struct {
	Version int             `json:"version"`
	Count   int             `json:"count,omitempty"`
	Flag    bool            `json:"flag,omitempty"`
	At      time.Time       `json:"at,omitzero"`
	Lease   time.Duration   `json:"lease,omitempty"`
	Sum     []byte          `json:"sum,omitempty"`
	Parts   []part          `json:"parts,omitempty"`
	One     *part           `json:"one,omitempty"`
	Named   map[string]part `json:"named"`
	Unknown Unknown         `json:",embed"`
}

type part struct {
	Name    string  `json:"name"`
	Unknown Unknown `json:",embed"`
}

func TestMembersThatAreNotKnownAreKept(t *testing.T) {
	const text = `{"version":1,"count":2,"flag":true,"at":"2026-11-20T10:00:00Z","lease":5,"sum":"AAE=","later":{"b":1,"a":[null,1.50]},` +
		`"parts":[{"name":"a","more":1},{"name":"b"}],"one":{"name":"c","x":null},"named":{"k":{"name":"d","y":"z"}}}`
	var r record
	if err := Decode([]byte(text), 1, &r); err != nil {
		t.Fatal(err)
	}
	r.Count, r.Parts[1].Name = 3, "changed"
	written, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"count":3,"flag":true,"at":"2026-11-20T10:00:00Z","lease":5,"sum":"AAE=","later":{"b":1,"a":[null,1.50]},` +
		`"parts":[{"name":"a","more":1},{"name":"changed"}],"one":{"name":"c","x":null},"named":{"k":{"name":"d","y":"z"}}}`
	var got, wanted any
	if json.Unmarshal(written, &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil || !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s\nwant %s", written, want)
	}
}

// TestWrittenAsEncodingJSONDoes: an empty record has no more than the library of the
// versions before would have written.
func TestWrittenAsEncodingJSONDoes(t *testing.T) {
	written, err := Encode(record{Version: 1})
	if want := `{"version":1,"named":null}`; err != nil || string(written) != want {
		t.Errorf("%s, %v; want %s", written, err, want)
	}
}

func TestALaterVersionIsNotRead(t *testing.T) {
	for text, newer := range map[string]bool{
		`{"version":2,"count":"of another kind"}`: true,
		`{"version":3}`:       true,
		`{"version":1}`:       false,
		`{}`:                  false,
		`{"count":"two"}`:     false,
		`{"version":"first"}`: false,
		`none`:                false,
	} {
		var r record
		err := Decode([]byte(text), 1, &r)
		found, is := errors.AsType[*Newer](err)
		if is != newer || newer && found.Version < 2 {
			t.Errorf("%s: %v; newer %t, want %t", text, err, is, newer)
		}
		if newer && !reflect.DeepEqual(r, record{}) {
			t.Errorf("%s was read: %+v", text, r)
		}
	}
	var r record
	if Decode([]byte(`none`), 1, &r) == nil || Decode([]byte(`{"count":"two"}`), 1, &r) == nil {
		t.Error("what is no record was read")
	}
}

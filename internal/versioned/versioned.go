// Package versioned reads and writes records that workers of different versions
// share: of the ledger, of lanes, runs, the budget and the fleet.
//
// Two rules let a worker work beside one of the next version, and after it:
//
//   - A record that states a later version than the reader knows is not read, and so
//     never replaced: Decode fails with a *Newer.
//   - Members that the reader does not know are kept and written again. A struct holds
//     them in a field of type Unknown with the tag `json:",embed"`, also where it is
//     nested in another one.
//
// So a further member needs no new version. A version is for what an older reader
// must not touch.
package versioned

import (
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Unknown are the members of a JSON object that this version does not know.
type Unknown = jsontext.Value

// Newer is the error of a record that a later version has written.
type Newer struct {
	// Version is what the record states; 0 where it is known by something else.
	Version int
	// What it is known by, where that is not its version.
	What string
}

func (e *Newer) Error() string {
	if e.What != "" {
		return "a later version of Chartpost wrote the record: it has " + e.What + " that this version does not know"
	}
	return fmt.Sprintf("a later version of Chartpost wrote the record: its version is %d", e.Version)
}

// Decode reads a record into a pointer to a struct, like encoding/json, and keeps the
// members that the struct does not know. A record of a version above known is not
// read at all; one without a version is of the first.
func Decode(data []byte, known int, into any) error {
	var stated struct {
		Version int `json:"version"`
	}
	// What is no record at all, or states a version of another kind, fails below.
	if err := jsonv2.Unmarshal(data, &stated, jsonv1.DefaultOptionsV1()); err == nil && stated.Version > known {
		return &Newer{Version: stated.Version}
	}
	return jsonv2.Unmarshal(data, into, jsonv1.DefaultOptionsV1())
}

// Encode writes a record like encoding/json, with the members that Decode has kept.
func Encode(record any) ([]byte, error) {
	return jsonv2.Marshal(record, jsonv1.DefaultOptionsV1())
}

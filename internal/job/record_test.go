package job

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// TestOfAnOlderVersion: a record without a version, as workers wrote it before there
// were versions, is read as it was.
func TestOfAnOlderVersion(t *testing.T) {
	const text = `{"phase":"waiting","attempt":2,"sequence":7,"stored":"2026-11-20T10:00:00Z","digest":"d","owner":"w","doubts":1,
		"files":[{"pin":{"etag":"\"e\"","size":9},"content_type":"application/pdf","transfer":"upload","sha1":"AAE=","url":"https://x"}],
		"next_attempt_at":"2026-11-20T11:00:00Z","reason":{"kind":"retryable","code":"c"},"updated_at":"2026-11-20T10:30:00Z"}`
	var r Record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	want := Record{
		Phase: Waiting, Attempt: 2, Sequence: 7, Stored: at, Digest: "d", Owner: "w", UnknownSends: 1,
		Files:         []FileRecord{{Pin: &Pin{ETag: `"e"`, Size: 9}, ContentType: "application/pdf", Transfer: schemas.Upload, SHA1: []byte{0, 1}, URL: "https://x"}},
		NextAttemptAt: at.Add(time.Hour), Reason: &schemas.Reason{Kind: "retryable", Code: "c"}, UpdatedAt: at.Add(30 * time.Minute),
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%+v\nwant %+v", r, want)
	}
}

// TestOfALaterVersion: what is more in a record of this version is kept, at every
// depth; a later version, and a phase that is not known, are not read.
func TestOfALaterVersion(t *testing.T) {
	const more = `{"version":1,"phase":"working","attempt":1,"sequence":7,"stored":"2026-11-20T10:00:00Z","digest":"d","owner":"w","carbon":{"x":[1,null]},
		"files":[{"pin":{"size":9,"crc":"z"},"scanned":true}],"updated_at":"2026-11-20T10:30:00Z"}`
	var r Record
	if err := json.Unmarshal([]byte(more), &r); err != nil {
		t.Fatal(err)
	}
	r.Phase, r.Attempt = Sending, 2
	r.Files[0].URL = "https://x"
	written, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{`"version":1`, `"carbon":{"x":[1,null]}`, `"crc":"z"`, `"scanned":true`, `"phase":"sending"`, `"url":"https://x"`} {
		if !strings.Contains(string(written), kept) {
			t.Errorf("%s is not in %s", kept, written)
		}
	}
	for _, text := range []string{`{"version":2,"phase":"working","attempt":1}`, `{"version":2,"phase":{"of":"another kind"}}`, `{"version":1,"phase":"delivered","attempt":1}`} {
		r := Record{Owner: "before"}
		err := json.Unmarshal([]byte(text), &r)
		if _, later := errors.AsType[*versioned.Newer](err); !later || !reflect.DeepEqual(r, Record{Owner: "before"}) {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, text := range []string{`{"phase":"working","attempt":"one"}`, `{}`, `null`, `[]`} {
		err := json.Unmarshal([]byte(text), &r)
		if _, later := errors.AsType[*versioned.Newer](err); err == nil || later {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestPhases: which of them are final is what keeps a job from being taken again.
func TestPhases(t *testing.T) {
	for phase, final := range map[Phase]bool{Working: false, Sending: false, Waiting: false, Accepted: true, Failed: true, Held: true, Cancelled: true} {
		if phase.Final() != final || !phase.known() {
			t.Errorf("%s: final %t, known %t", phase, phase.Final(), phase.known())
		}
	}
	if later := Phase("delivered"); later.Final() || later.known() {
		t.Error("a phase of a later version is known")
	}
}

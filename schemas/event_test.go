package schemas

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	someday = time.Date(2026, 11, 20, 11, 0, 5, 123456789, time.FixedZone("", 3600))
	receipt = Receipt{Status: 200, Location: "https://fhir.redoxengine.com/x", LogIDs: []string{"1"}, TraceID: "t", AcceptedAt: someday}
)

// complete is data of that status with every field set that it can have.
func complete(status Status) EventData {
	d := EventData{
		JobID: "lab_2026-1", Operation: DocumentReferenceCreate, Class: Backfill, Destination: "good.health~1", Status: status, Attempt: 3,
		PossibleDuplicate: true, Correlation: map[string]string{"tenant": "<a&b>"},
		Reason:  &Reason{Kind: "retryable", Code: "redox_503", Text: "Redox answered 503", Path: "/files/0"},
		Files:   []EventFile{{Index: 0, Size: 0}, {Index: 9, Size: 1 << 40, SHA256: strings.Repeat("0a", 32), ContentType: "image/svg+xml", Transfer: Embed}},
		Receipt: &receipt, Evidence: &Evidence{LogID: "1", Window: &Window{From: someday, Until: someday.Add(time.Minute), Jobs: 1, Logs: 2}, Attempts: 3, At: someday},
	}
	if status == StatusRetrying {
		d.NextAttemptAt = someday.Add(time.Minute)
	}
	return d
}

func minimal(status Status) EventData {
	d := EventData{JobID: UnreadableID(18446744073709551615), Class: Live, Destination: "a", Status: status}
	switch status {
	case StatusRetrying:
		d.Reason, d.NextAttemptAt = &Reason{Kind: "interrupted", Code: "shutdown"}, someday
	case StatusFailed, StatusUnknown:
		d.Reason = &Reason{Kind: "poison", Code: "not_understood"}
	case StatusAccepted:
		d.Receipt = &Receipt{Status: 202, AcceptedAt: someday}
	case StatusUnconfirmed:
		d.Reason = &Reason{Kind: "unknown_outcome", Code: "no_evidence"}
	case StatusDelivered, StatusFiltered, StatusUndelivered, StatusStalled:
		d.Evidence = &Evidence{At: someday}
	}
	return d
}

func TestEveryConstructedEventIsValid(t *testing.T) {
	for _, status := range statuses(t) {
		for _, data := range []EventData{complete(status), minimal(status)} {
			event := NewEvent("chart-post1", data, someday)
			encoded, err := event.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(encoded), `\u003c`) || strings.HasSuffix(string(encoded), "\n") {
				t.Errorf("%s", encoded)
			}
			decoded, err := DecodeEvent(encoded)
			if err != nil {
				t.Errorf("%s: %v\n%s", status, err, encoded)
			}
			if !reflect.DeepEqual(decoded, event) {
				t.Errorf("got %+v\nwant %+v", decoded, event)
			}
			if decoded.Lane() != lane(data.Class, data.Destination) {
				t.Errorf("lane %v", decoded.Lane())
			}
		}
	}
}

// An operator who finds a message at Redox has no receipt of it.
func TestAcceptedByAnOperator(t *testing.T) {
	data := minimal(StatusAccepted)
	data.Receipt, data.Reason = nil, &Reason{Kind: "unknown_outcome", Code: "resolved_by_operator"}
	for _, reason := range []*Reason{data.Reason, nil} {
		data.Reason = reason
		encoded, err := NewEvent("chartpost", data, someday).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeEvent(encoded); (err == nil) != (reason != nil) {
			t.Errorf("with the reason %v: %v", reason, err)
		}
	}
}

func TestNewEventNames(t *testing.T) {
	data := complete(StatusRetrying)
	e := NewEvent("chartpost", data, someday)
	later := NewEvent("chartpost", data, someday.Add(time.Hour))
	if e.ID != "good.health~1/lab_2026-1/3/retrying" || later.ID != e.ID {
		t.Errorf("ids %q %q", e.ID, later.ID)
	}
	if e.Type != "chartpost.job.retrying.v1" || e.Source != "/chartpost/chartpost" || e.Subject != data.JobID || e.SpecVersion != "1.0" {
		t.Errorf("%+v", e)
	}
	if data.Receipt.AcceptedAt != someday || data.NextAttemptAt != someday.Add(time.Minute) {
		t.Error("NewEvent changed the caller's data")
	}
	if _, offset := e.Data.Receipt.AcceptedAt.Zone(); offset != 0 || e.Time.Location() != time.UTC {
		t.Error("times are not in UTC")
	}
}

func TestEventExamples(t *testing.T) {
	for _, name := range fixtures(t, "event/*.json") {
		e, err := DecodeEvent(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := NewEvent("chartpost", e.Data, e.Time)
		if e.Data.Status == StatusDuplicate {
			want.ID = DuplicateID(want.ID, 4711)
		}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("%s: %+v is not what NewEvent makes: %+v", name, e, want)
		}
	}
}

func TestInvalidEvents(t *testing.T) {
	accepted := string(read(t, "examples/event/accepted.json"))
	for _, c := range []struct{ old, new, want string }{
		{`"specversion": "1.0"`, `"specversion": "0.3"`, "/specversion enum"},
		{`"status": "accepted"`, `"status": "arrived"`, "/data/status enum"},
		{`"status": "accepted"`, `"status": "delivered"`, "/data/evidence required"},
		{`"status": "accepted"`, `"status": "unconfirmed"`, "/data/reason required"},
		{`"attempt": 1`, `"attempt": 1.5`, "/data/attempt type"},
		{`"attempt": 1`, `"attempt": -1`, "/data/attempt out_of_range"},
		{`"size": 30000000`, `"size": 9223372036854775808`, "/data/files/0/size out_of_range"},
		{`"status": 200`, `"status": 600`, "/data/receipt/status out_of_range"},
		{`"receipt"`, `"receipts"`, "/data/receipt required\n/data/* unknown_field"},
		{`"status": "accepted"`, `"status": "retrying"`, "/data/next_attempt_at required\n/data/reason required"},
		{`"status": "accepted"`, `"status": "failed"`, "/data/reason required"},
		{`"possible_duplicate": false`, `"possible_duplicate": null`, "/data/possible_duplicate type"},
		{`"transfer": "upload"`, `"transfer": "auto"`, "/data/files/0/transfer enum"},
	} {
		in := strings.Replace(accepted, c.old, c.new, 1)
		if in == accepted {
			t.Fatalf("the example has no %s", c.old)
		}
		_, err := DecodeEvent([]byte(in))
		e, ok := errors.AsType[*Invalid](err)
		if !ok || codes(e) != c.want {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}

func TestFinal(t *testing.T) {
	for _, s := range statuses(t) {
		if want := s != StatusUploaded && s != StatusRetrying && !s.Outcome(); s.Final() != want {
			t.Errorf("%s is final: %v", s, s.Final())
		}
	}
}

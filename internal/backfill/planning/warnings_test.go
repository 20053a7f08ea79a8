package planning

import (
	"slices"
	"testing"
	"time"
)

// TestFutureDates: dates and times of FHIR and the Data Model, and no end of a period.
func TestFutureDates(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for message, want := range map[string][]string{
		`{"resource": {"date": "2026-12-01T11:00:00Z", "title": "2099-01-01 was a typo"}}`: nil,
		`{"resource": {"date": "2026-12-03T11:00:00+02:00"}}`:                              {"/message/resource/date"},
		`{"patient": {"birthDate": "2062-04-12"}, "list": ["2019-01-01", "2099-01-01"]}`:   {"/message/patient/birthDate", "/message/list/1"},
		`{"identifier": [{"period": {"start": "2019-01-01", "end": "2099-01-01"}}]}`:       nil,
		`{"a": "2099", "b": "2099-13-01", "c": 20990101, "2099-01-01": 1}`:                 nil,
		`{"a": `: nil,
	} {
		if got := futureDates([]byte(message), now); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

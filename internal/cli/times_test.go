package cli

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"2h": "2026-11-20T08:00:00+01:00", "0s": "2026-11-20T10:00:00+01:00", "2026-11-19": "2026-11-19T00:00:00+01:00",
		"2026-11-19T08:00:00Z": "2026-11-19T08:00:00Z", "2026-11-19 08:00": "2026-11-19T08:00:00+01:00", "2026-11-19T08:00": "2026-11-19T08:00:00+01:00",
		"-2h": "", "yesterday": "", "": "", "2": "",
	} {
		got, err := ParseTime(text, now)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %s, %v", text, got.Format(time.RFC3339), err)
		}
	}
}

package show

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLanesAndLetters(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.Local)
	var out bytes.Buffer
	Lanes(&out, []Lane{
		{Class: "live", Destination: "good-health", Waiting: 1200, InHand: 8, State: "open"},
		{Class: "backfill", Destination: "a", State: "paused", Until: at, By: "ann", Reason: "maintenance at their side", Limit: 2},
	})
	Letters(&out, []Letter{
		{Buried: at, Job: "lab-1", Class: "live", Destination: "good-health", Status: "unknown", Reason: "no_answer", PossibleDuplicate: true, Size: 1500},
		{Buried: at, Class: "live", Destination: "a", Status: "failed", Reason: "file_missing", Path: "/files/0", Size: 900},
		{Buried: at, Class: "live", Destination: "a\x1b[2J\n\t", PossibleDuplicate: true},
	})
	want := strings.ReplaceAll(strings.TrimPrefix(`
CLASS     DESTINATION  WAITING  IN HAND  STATE   UNTIL                    LIMIT  BY   REASON
live      good-health  1200     8        open    -                        -      -    -
backfill  a            0        0        paused  2026-11-20 10:00:00 UTC  2      ann  maintenance at their side
BURIED                   JOB    CLASS  DESTINATION  STATUS   SIZE   REASON
2026-11-20 10:00:00 UTC  lab-1  live   good-health  unknown  1 kB   no_answer; POSSIBLE DUPLICATE
2026-11-20 10:00:00 UTC  -      live   a            failed   900 B  file_missing /files/0
2026-11-20 10:00:00 UTC  -      live   a?[2J??      -        0 B    POSSIBLE DUPLICATE
`, "\n"), "UTC", at.Format("MST"))
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
)

// TestStatusOfOldRuns: the list reads no events for a run of which every line has
// ended; the run by its name does, for what came of its dead letters since.
func TestStatusOfOldRuns(t *testing.T) {
	o := newOffice(t)
	runs, err := o.queue.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	if err := backfill.CreateRun(t.Context(), runs, backfill.Run{ID: "old", StartedAt: now, State: backfill.Running}); err != nil {
		t.Fatal(err)
	}
	record, err := json.Marshal(backfill.Checkpoint{At: now, EndedAt: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runs.Write(t.Context(), backfill.RunPrefix+"old.feeder", record, 0); err != nil {
		t.Fatal(err)
	}
	o.do(cli.ExitOK, "backfill", "status", "old")
	if err := o.js.DeleteStream(t.Context(), "CHARTPOST_EVENTS"); err != nil {
		t.Fatal(err)
	}
	if said := o.do(cli.ExitOK, "backfill", "status"); !strings.Contains(said, "ended") {
		t.Error(said)
	}
	o.do(cli.ExitFailed, "backfill", "status", "old")
}

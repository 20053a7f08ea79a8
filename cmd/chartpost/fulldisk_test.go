package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/schemas"
)

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestAFullDisk: what could not be written was not listed.
func TestAFullDisk(t *testing.T) {
	o := newOffice(t)
	o.bury("a", never)
	o.do(cli.ExitOK, "lane", "limit", "live", "good-health", "3")
	event := schemas.EventData{JobID: "a", Class: schemas.Live, Destination: "good-health", Status: schemas.StatusFailed, Attempt: 1, Reason: &schemas.Reason{Kind: "permanent", Code: "x"}}
	if err := o.queue.Outbox().Tell(t.Context(), schemas.Lane{Class: event.Class, Destination: event.Destination}, schemas.NewEvent("chartpost", event, time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"dead ls", "dead ls --json", "dead show a", "dead show a --json", "dead show a --show-content", "dead replay a --dry-run", "dead replay a --dry-run --json",
		"lane ls", "lane ls --json", "lane limit live good-health 4", "audit ls", "audit ls --json", "status a", "status a --json",
		"watch --since 1h", "watch --since 1h --json", "events export", "backfill status", "completion bash", "schema job.v1", "version",
	} {
		var errs bytes.Buffer
		list := strings.Fields(args)
		if !strings.Contains("completion schema version", list[0]) {
			list = append(list, "--nats-url", o.url)
		}
		if code := run(t.Context(), list, cli.Streams{In: strings.NewReader(""), Out: full{}, Err: &errs}); code != cli.ExitFailed || !strings.Contains(errs.String(), syscall.ENOSPC.Error()) {
			t.Errorf("%s: exit code %d: %s", args, code, errs.String())
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

type watchCmd struct {
	eventFilter `embed:""`

	Since string   `placeholder:"TIME" help:"From then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z; empty is from now on." group:"Events"`
	JSON  bool     `name:"json" help:"Print the events as JSON, one a line." group:"Output"`
	NATS  app.NATS `embed:"" group:"NATS"`

	since time.Time
}

// Help adds to the command's --help.
func (watchCmd) Help() string {
	return `Examples:

  chartpost watch
  chartpost watch --destination good-health --status failed,unknown --since 2h
  chartpost watch --correlation tenant=a --final --json | jq .data.job_id

It goes on until Ctrl-C, which is exit code 0. When the connection is lost it goes on where it was, as soon as NATS is back. Filters by class, destination and status are the server's; the others read every event that is left.`
}

func (c *watchCmd) check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.eventFilter.check()}
	c.since = time.Now()
	if c.Since != "" {
		var err error
		if c.since, err = parseTime(c.Since, time.Now()); err != nil {
			faults = append(faults, fmt.Errorf("--since: %w", err))
		}
	}
	return errors.Join(faults...)
}

func (c *watchCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	queue, err := app.Queue(c.NATS, "watch", cli.Log.logger(std))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, adviceNATS)
	}
	defer queue.Close()
	var written error
	print := show.NewEvents(std.out, show.Colour(std.outTerminal, os.Getenv)).Add
	if c.JSON {
		encoder := jsonLines(std.out)
		print = func(e schemas.Event) error { return encoder.Encode(e) }
	}
	err = queue.WatchSelected(ctx, c.selection(), c.since, func() error { return nil }, func(e schemas.Event) bool {
		if c.wants(e.Data) {
			written = print(e)
		}
		return written == nil
	})
	if err != nil && ctx.Err() == nil { // Ctrl-C is how it ends
		return fmt.Errorf("%w\n%s", err, adviceStreams)
	}
	return written
}

package events

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

// WatchCmd prints events as they come.
type WatchCmd struct {
	filter `embed:""`

	Since        string   `placeholder:"TIME" help:"From then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z; empty is from now on." group:"Events" percall:""`
	Live         bool     `help:"Listen to events as they are published, without a consumer: what comes while the connection is lost is missed. For watchers." group:"Events" percall:""`
	Subscription string   `placeholder:"NAME" help:"Read from this subscription and acknowledge what was printed: goes on where it was the last time. For watchers." group:"Events"`
	JSON         bool     `name:"json" help:"Print the events as JSON, one a line." group:"Output"`
	NATS         app.NATS `embed:"" group:"NATS"`

	since time.Time
}

// Help adds to the command's --help.
func (WatchCmd) Help() string {
	return `Examples:

  chartpost watch
  chartpost watch --destination good-health --status failed,unknown --since 2h
  chartpost watch --correlation tenant=a --final --json | jq .data.job_id
  chartpost watch --live --status failed
  chartpost watch --subscription journal --json >> journal.ndjson

It goes on until Ctrl-C, which is exit code 0. When the connection is lost it goes on where it was, as soon as NATS is back; with --live it goes on with the next event. Filters by class, destination and status are the server's; the others read every event that is left.

Without --live and --subscription it makes a consumer of its own, which takes the rights of an operator. A watcher has the other two. An operator makes subscriptions: "chartpost events subscribe --help". The output of a subscription may have an event twice where the command was killed.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *WatchCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.filter.check()}
	if c.Since != "" {
		var err error
		if c.since, err = cli.ParseTime(c.Since, time.Now()); err != nil {
			faults = append(faults, fmt.Errorf("--since: %w", err))
		}
	}
	return errors.Join(append(faults, c.source())...)
}

// source holds the flags that say from where events come to what goes together.
func (c *WatchCmd) source() error {
	var faults []error
	if c.Live && c.Since != "" {
		faults = append(faults, errors.New("--live: has no earlier events; leave --since out"))
	}
	if c.Subscription == "" {
		return errors.Join(faults...)
	}
	if !natsq.ValidSubscription(c.Subscription) {
		faults = append(faults, errors.New("--subscription: must have 1 to 48 of letters, digits, _ and -"))
	}
	if c.Live || c.Since != "" || c.filters() {
		faults = append(faults, errors.New("--subscription: gives what it was made for; leave --live, --since and the filters out"))
	}
	return errors.Join(faults...)
}

// Run executes the command.
func (c *WatchCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "watch", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	var written error
	print := show.NewEvents(std.Out, show.Color(std.OutTerminal, os.Getenv)).Add
	if c.JSON {
		encoder := cli.JSONLines(std.Out)
		print = func(e schemas.Event) error { return encoder.Encode(e) }
	}
	each := func(e schemas.Event) bool {
		if c.wants(e.Data) {
			written = print(e)
		}
		return written == nil
	}
	switch started := func() error { return nil }; {
	case c.Subscription != "":
		err = queue.ReadSubscription(ctx, c.Subscription, each)
	case c.Live:
		err = queue.WatchLive(ctx, c.selection(), started, each)
	default:
		err = queue.WatchSelected(ctx, c.selection(), c.since, started, each)
	}
	if err != nil && ctx.Err() == nil { // Ctrl-C is how it ends
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	return written
}

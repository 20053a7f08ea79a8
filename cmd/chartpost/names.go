package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
)

// namesCmd is what completion scripts ask for names that only the deployment
// knows. It says nothing where it cannot know: a person is waiting at a key.
type namesCmd struct {
	Of   string   `arg:"" enum:"destinations,dead,subscriptions,runs" help:"destinations, the jobs of dead letters, subscriptions to the events, or backfill runs."`
	NATS app.NATS `embed:"" group:"NATS"`
}

func (c *namesCmd) Check(*kong.Context) error { return c.NATS.Check() }

// offered are the names that a shell takes for nothing but a word: bash expands
// the words of a completion, so that $(...) in a name would be run.
var offered = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

const (
	namesTime = 2 * time.Second
	mostNames = 500
)

func (c *namesCmd) Run(ctx context.Context, std cli.Streams) error {
	ctx, cancel := context.WithTimeout(ctx, namesTime)
	defer cancel()
	queue, err := app.Queue(c.NATS, "names", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	defer queue.Close()
	seen := map[string]bool{}
	say := func(name string) bool {
		if offered.MatchString(name) && !seen[name] {
			seen[name] = true
			fmt.Fprintln(std.Out, name)
		}
		return len(seen) < mostNames
	}
	if c.Of == "dead" {
		queue.Letters(ctx, func(l natsq.Letter) bool { return say(l.JobID) })
		return nil
	}
	if c.Of == "subscriptions" {
		all, _ := queue.Subscriptions(ctx)
		for _, s := range all {
			say(s.Name)
		}
		return nil
	}
	if c.Of == "runs" {
		sayRuns(ctx, queue, say)
		return nil
	}
	control, err := queue.Control(ctx)
	if err != nil {
		return nil
	}
	reports, _ := control.Report(ctx)
	for _, r := range reports {
		if !r.State.Lane.Stray() {
			say(r.State.Lane.Destination)
		}
	}
	return nil
}

func sayRuns(ctx context.Context, queue *natsq.Conn, say func(string) bool) {
	runs, err := queue.Runs(ctx)
	if err != nil {
		return
	}
	keys, _ := runs.Keys(ctx, backfill.RunPrefix+"*")
	for _, key := range keys {
		say(strings.TrimPrefix(key, backfill.RunPrefix))
	}
}

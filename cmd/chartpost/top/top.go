// Package top shows how the deployment stands.
package top

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/internal/show"
)

// Cmd shows how the deployment stands, again and again.
type Cmd struct {
	Once  bool          `help:"Show it once and end. So it does where there is no terminal." group:"Output" percall:""`
	Every time.Duration `default:"5s" placeholder:"TIME" help:"Time from one look to the next, 1s or more." group:"Output" percall:""`
	JSON  bool          `name:"json" help:"Print JSON, one object per look." group:"Output"`

	Budget app.Budget `embed:"" prefix:"budget-" group:"Budget, as the workers have it"`
	NATS   app.NATS   `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (Cmd) Help() string {
	return `Examples:

  chartpost top
  chartpost top --once
  chartpost top --once --json | jq .lanes

It shows the workers that are alive, the lanes that hold jobs and what holds them, the dead letters by code, the request budget, and the backfill runs that have not ended. RATE is the jobs that ended in the last minute; EMPTY IN is how long the lane takes at that rate. Ctrl-C ends it. It changes nothing.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *Cmd) Check(*kong.Context) error {
	var err error
	if c.Every < time.Second {
		err = errors.New("--every: must be at least 1s")
	}
	return errors.Join(err, c.NATS.Check(), c.Budget.Check())
}

// Run executes the command.
func (c *Cmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "top", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	v := &overview.Viewer{Queue: queue, Budget: c.budget(queue)}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		o, err := v.Look(ctx, time.Now())
		if ctx.Err() != nil {
			return nil // Ctrl-C is how it ends
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
		}
		if err := c.print(std, o); err != nil || c.once(std) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Cmd) once(std cli.Streams) bool { return c.Once || !c.JSON && !std.OutTerminal }

// budget reads the use of the request budget.
func (c *Cmd) budget(queue *natsq.Conn) func(context.Context) (*overview.Budget, error) {
	return func(ctx context.Context) (*overview.Budget, error) {
		s, known, err := c.Budget.Look(ctx, queue)
		if err != nil || !known {
			return nil, err
		}
		return &overview.Budget{
			Used: s.Live + s.Backfill + s.Out, Limit: s.Effective, PerSecond: s.Made, AllowedPerSecond: s.Allowed, HeldSeconds: s.Held.Seconds(),
		}, nil
	}
}

func (c *Cmd) print(std cli.Streams, o overview.Overview) error {
	if c.JSON {
		return cli.JSONLines(std.Out).Encode(o)
	}
	var text bytes.Buffer
	if !c.once(std) {
		text.WriteString("\x1b[H\x1b[2J") // clears the screen
	}
	if err := write(show.Like(std.Out, &text), o); err != nil {
		return err
	}
	_, err := io.Copy(show.Raw(std.Out), &text) // clean, except for the colors
	return err
}

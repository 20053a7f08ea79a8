// Package outcome has the commands that follow what became of accepted messages.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/show"
)

// Cmd are the commands for outcomes; docs/outcomes.md tells how to use them.
type Cmd struct {
	Probe  probeCmd  `cmd:"" help:"Try each call of Redox's Platform API once, and say which assumption held."`
	Setup  setupCmd  `cmd:"" help:"Make the bucket that following outcomes needs."`
	Follow followCmd `cmd:"" help:"Follow accepted messages in Redox's logs until stopped."`
	Ls     lsCmd     `cmd:"" help:"List messages and what became of them."`
	Lanes  lanesCmd  `cmd:"" help:"Count the outcomes of each lane."`
}

// queueTime bounds a command that reads.
const queueTime = 2 * time.Minute

// note says how the follower stands, where it lags or has trouble.
func note(w io.Writer, v *outcome.View, now time.Time) {
	switch {
	case v.Cursor == nil:
		fmt.Fprintln(w, "no follower has worked yet: run chartpost outcome follow")
		return
	case now.Sub(v.Cursor.Standing.At) > 2*time.Minute:
		fmt.Fprintf(w, "no follower has worked since %s\n", v.Cursor.Standing.At.Local().Format(time.DateTime))
	}
	s := v.Cursor.Standing
	if s.Trouble != "" {
		fmt.Fprintf(w, "the last search of Redox's logs failed (%s); nothing is concluded from it\n", s.Trouble)
	}
	if s.Binding {
		fmt.Fprintf(w, "the sweep lags: it has come to %s, by the requests that --outcome-share leaves it; nothing is skipped\n", s.SweptTo.Local().Format(time.DateTime))
	}
}

type setupCmd struct {
	NATS     app.NATS      `embed:"" group:"NATS"`
	Replicas int           `default:"1" help:"Copies of each stream: 1, 3 or 5. Use 3 where losing a server must lose nothing." group:"Streams"`
	Age      time.Duration `name:"outcome-age" default:"336h" help:"How long an accepted message is followed at most; at least 240h." group:"Outcomes"`
	DryRun   bool          `help:"Show what would be done, and change nothing." group:"Streams" percall:""`
}

// Help adds to the command's --help.
func (setupCmd) Help() string {
	return `Following outcomes is off until this bucket is there and chartpost outcome follow runs. Doing it twice changes nothing.`
}

// leastAge is what Unconfirmed and Reopen take together.
const leastAge = 240 * time.Hour

// Check finds what is wrong with the flags before anything is done.
func (c *setupCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	if c.Age < leastAge {
		faults = append(faults, errors.New("--outcome-age: must be at least 240h: a message is followed for 3 days, and one that failed for 7 more"))
	}
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		faults = append(faults, errors.New("--replicas: must be 1, 3 or 5"))
	}
	return errors.Join(faults...)
}

// Run executes the command.
func (c *setupCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "outcome", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	change, err := queue.SetupOutcomes(ctx, c.Replicas, c.Age, c.DryRun)
	if err != nil {
		return err
	}
	did := change.Did
	if c.DryRun && did != "unchanged" {
		did = "would be " + did
	}
	return show.Table(std.Out, []string{"BUCKET", "RESULT"}, [][]string{{change.Name, did}})
}

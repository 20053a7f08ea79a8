package dead

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
)

type lsCmd struct {
	filter `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one dead letter a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lsCmd) Help() string {
	return `Examples:

  chartpost dead ls
  chartpost dead ls --code file_missing --since 24h
  chartpost dead ls --destination good-health --class live --json

What is in a job is not shown. --json adds the sequence, which names a dead letter of a job whose id could not be read.`
}

func (c *lsCmd) Check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.filter.check())
}

func (c *lsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "dead", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	encoder := cli.JSONLines(std.Out)
	var rows []show.Letter
	var written error
	n := 0
	err = queue.Letters(ctx, func(l natsq.Letter) bool {
		if !c.wants(l) {
			return true
		}
		n++
		if !c.JSON {
			rows = append(rows, letterRow(l))
		} else if written = encoder.Encode(deadletter.Summarize(l)); written != nil {
			return false
		}
		return c.Limit == 0 || n < c.Limit
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if !c.JSON {
		return show.Letters(std.Out, rows)
	}
	return written
}

func letterRow(l natsq.Letter) show.Letter {
	return show.Letter{
		Buried: l.Buried, Job: l.JobID, Class: string(l.Lane.Class), Destination: l.Lane.Destination, Status: string(l.Status),
		Reason: l.Reason.Code, Path: l.Reason.Path, PossibleDuplicate: l.PossibleDuplicate, Size: l.Size,
	}
}

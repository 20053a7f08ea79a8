package dead

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/schemas"
)

type dropCmd struct {
	target `embed:""`

	DryRun bool `help:"Say what would be removed, and remove nothing." group:"Dead letters" percall:""`

	cli.AuditFlags `embed:""`
	cli.YesFlag    `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one dead letter a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (dropCmd) Help() string {
	return `Examples:

  chartpost dead drop lab-2026-000123 --reason "a test of ours"
  chartpost dead drop --code id_reused --until 2026-11-01 --dry-run
  chartpost dead drop --destination old-clinic --reason "closed" --yes
  chartpost dead drop --accepted-since --reason "sent again since"

The job is gone then: nothing else keeps it. Its record and its events stay as they are. --reason is required, except with --dry-run. Exit code 5 when there is no such dead letter, 6 when some of the jobs that you named have none.`
}

func (c *dropCmd) Check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.target.check(), c.Complete(!c.DryRun))
}

func (c *dropCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	desk, err := open(ctx, c.NATS, c.Operator, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	letters, missing, err := c.find(ctx, desk.Conn)
	if err != nil {
		return err
	}
	if err := c.ambiguous(); err != nil {
		return err
	}
	if letters, err = c.accepted(ctx, desk.ledger, letters); err != nil {
		return err
	}
	// Each is removed by itself: two letters of a job may differ.
	var stacks []deadletter.Stack
	for _, l := range letters {
		stacks = append(stacks, deadletter.Stack{Newest: l})
	}
	if len(stacks) > 0 && !c.DryRun {
		if !c.Yes {
			preview(std, stacks)
		}
		if err := c.Confirm(ctx, std, fmt.Sprintf("Remove %d dead letters, and the jobs in them, for good?", len(stacks))); err != nil {
			return err
		}
	}
	notes := c.Trail(ctx, desk.Conn, c.NATS.Prefix, schemas.DeadDrop, nil)
	b := &bulk{std: std, missing: missing, json: c.JSON, dryRun: c.DryRun}
	b.act = func(ctx context.Context, s deadletter.Stack) (deadletter.Outcome, error) {
		if c.DryRun {
			return deadletter.Dropped, nil
		}
		return desk.noted(ctx, notes, func() (deadletter.Outcome, error) { return desk.Drop(ctx, s.Newest) })
	}
	return b.run(ctx, stacks)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/natsq"
)

type setupCmd struct {
	NATS    app.NATS    `embed:"" group:"NATS"`
	Streams app.Streams `embed:"" group:"Streams"`

	BudgetBucket string `name:"budget-bucket" placeholder:"NAME" help:"KV bucket of the shared count, for deployments with different prefixes behind one egress address; setup makes it. Empty is the deployment's own." group:"Budget"`

	JSON bool `name:"json" help:"Print JSON, one stream or bucket a line."`
}

// Help adds to the command's --help.
func (setupCmd) Help() string {
	return "Says of each stream and bucket whether it was created, updated or unchanged. Doing it twice changes nothing, and it deletes nothing. It needs the rights of an operator, and those of an administrator to change an audit that is there: docs/permissions.md."
}

func (c *setupCmd) check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.Streams.Check(), app.CheckBudgetBucket(c.BudgetBucket))
}

// Run also tells what was done before it failed.
func (c *setupCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	queue, err := app.Queue(c.NATS, "setup", cli.Log.logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	changes, err := queue.Setup(ctx, c.Streams.Layout())
	if err == nil && c.BudgetBucket != "" {
		var change natsq.Change
		if change, err = queue.SetupSharedBudget(ctx, c.BudgetBucket, c.Streams.Replicas); err == nil {
			changes = append(changes, change)
		}
	}
	if c.JSON {
		lines := jsonLines(std.out)
		for _, change := range changes {
			err = errors.Join(err, lines.Encode(setupJSON{change.Name, change.Did}))
		}
		return err
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, change := range changes {
		fmt.Fprintf(table, "%s\t%s\n", change.Name, change.Did)
	}
	table.Flush()
	return err
}

// setupJSON is a stream or bucket in JSON; Result is created, updated or
// unchanged.
type setupJSON struct {
	Name   string `json:"name"`
	Result string `json:"result"`
}

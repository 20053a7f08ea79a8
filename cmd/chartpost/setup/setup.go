// Package setup makes the streams and buckets, and tries the settings of a worker.
package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
)

// Cmd makes or updates the streams and buckets.
type Cmd struct {
	NATS    app.NATS    `embed:"" group:"NATS"`
	Streams app.Streams `embed:"" group:"Streams"`

	Lease        time.Duration `placeholder:"DURATION" help:"Make this the fleet's lease, the worker's --lease. Stop all workers first. Empty leaves it: the first worker's is the fleet's." group:"Streams"`
	DryRun       bool          `help:"Show what would be done, and change nothing." group:"Streams" percall:""`
	BudgetBucket string        `name:"budget-bucket" placeholder:"NAME" help:"KV bucket of the shared count, for deployments with different prefixes behind one egress address; setup makes it. Empty is the deployment's own." group:"Budget"`

	JSON bool `name:"json" help:"Print JSON, one stream or bucket a line."`
}

// Help adds to the command's --help.
func (Cmd) Help() string {
	return "Says of each stream and bucket whether it was created, updated or unchanged, and which fields were changed. Doing it twice changes nothing, and it deletes nothing. What an administrator has set beside it stays: placement, compression, tags, metadata, and limits that lose no job. It needs the rights of an operator, and those of an administrator to change an audit that is there: docs/permissions.md."
}

// Check finds what is wrong with the flags before anything is done.
func (c *Cmd) Check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.Streams.Check(), app.CheckBudgetBucket(c.BudgetBucket))
}

// Run also tells what was done before it failed.
func (c *Cmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := app.Queue(c.NATS, "setup", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	setup := queue.Setup
	if c.DryRun {
		setup = queue.PlanSetup
	}
	changes, err := setup(ctx, c.Streams.Layout())
	if err == nil && c.Lease > 0 && !c.DryRun {
		err = queue.SetLease(ctx, c.Lease)
	}
	if err == nil && c.BudgetBucket != "" {
		var change natsq.Change
		if change, err = queue.SetupSharedBudget(ctx, c.BudgetBucket, c.Streams.Replicas, c.DryRun); err == nil {
			changes = append(changes, change)
		}
	}
	if c.JSON {
		lines := cli.JSONLines(std.Out)
		for _, change := range changes {
			err = errors.Join(err, lines.Encode(setupJSON{change.Name, change.Did, change.Fields, c.DryRun}))
		}
		return err
	}
	table := show.NewTabs(std.Out)
	for _, change := range changes {
		did := change.Did
		if c.DryRun && did != "unchanged" {
			did = "would be " + did
		}
		if len(change.Fields) > 0 {
			did += "\t" + strings.Join(change.Fields, "; ")
		}
		fmt.Fprintf(table, "%s\t%s\n", change.Name, did)
	}
	return errors.Join(err, table.Flush())
}

// setupJSON is a stream or bucket in JSON; Result is created, updated or
// unchanged.
type setupJSON struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	// Fields are what was changed of one that was there.
	Fields []string `json:"fields,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"`
}

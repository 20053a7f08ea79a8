// Command chartpost delivers files into patient charts through Redox. It is the
// worker and the commands of its operators in one binary.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
)

// CLI is the whole command line. Each flag without the tag percall is also an environment
// variable (CHARTPOST_ and the flag's name in capitals) and a key of the YAML file.
type CLI struct {
	Globals globals `embed:""`

	Setup      setupCmd      `cmd:"" help:"Create or update the streams and buckets on NATS."`
	Worker     workerCmd     `cmd:"" help:"Deliver jobs until stopped."`
	Send       sendCmd       `cmd:"" help:"Publish one job and follow it to its end."`
	Status     jobStatusCmd  `cmd:"" help:"Tell all that is known of one job."`
	Watch      watchCmd      `cmd:"" help:"Print events as they come."`
	Events     eventsCmd     `cmd:"" help:"Export events, and say who may read them."`
	Backfill   backfillCmd   `cmd:"" help:"Deliver an archive: many jobs, made of a manifest."`
	Preview    previewCmd    `cmd:"" help:"Print the exact message of a job; send nothing."`
	Lane       laneCmd       `cmd:"" help:"See and hold the lanes."`
	Dead       deadCmd       `cmd:"" help:"See and resolve the dead letters."`
	Audit      auditCmd      `cmd:"" help:"See what operators did."`
	Check      checkCmd      `cmd:"" help:"Try the settings, NATS, S3 and Redox, one line each."`
	Schema     schemaCmd     `cmd:"" help:"Print a JSON Schema of the contract."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Names      namesCmd      `cmd:"" hidden:"" help:"Print names for the completion of a shell."`
}

const description = `Delivers files from S3 into patient charts through Redox. Jobs arrive on NATS JetStream.

Exit codes:

  0  done
  1  it could not be done
  2  a flag, a setting or an input file is wrong; nothing was done
  3  the job ended without being accepted
  4  the wait for the job was over; the job goes on
  5  there is no such job or dead letter
  6  some of it was done, and some was not; the output says what`

func main() {
	libraries := stdlog.Take()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, inTerminal: show.IsTerminal(os.Stdin),
		outTerminal: show.IsTerminal(os.Stdout), errTerminal: show.IsTerminal(os.Stderr),
		libraries: libraries,
	}))
}

// commandLine is the program whose flags g receives.
func (g *CLI) commandLine() commandLine {
	return commandLine{name: "chartpost", description: description, grammar: g, globals: &g.Globals}
}

// run parses and executes one command line and gives its exit code.
func run(ctx context.Context, args []string, std streams) int {
	return new(CLI).commandLine().run(ctx, args, std)
}

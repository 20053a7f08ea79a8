// Command chartpost delivers files into patient charts through Redox. It is the
// worker and the commands of its operators in one binary.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/chartpost/chartpost/cmd/chartpost/audit"
	"github.com/chartpost/chartpost/cmd/chartpost/backfill"
	"github.com/chartpost/chartpost/cmd/chartpost/dead"
	"github.com/chartpost/chartpost/cmd/chartpost/events"
	"github.com/chartpost/chartpost/cmd/chartpost/intake"
	"github.com/chartpost/chartpost/cmd/chartpost/job"
	"github.com/chartpost/chartpost/cmd/chartpost/lane"
	"github.com/chartpost/chartpost/cmd/chartpost/outcome"
	"github.com/chartpost/chartpost/cmd/chartpost/setup"
	"github.com/chartpost/chartpost/cmd/chartpost/top"
	"github.com/chartpost/chartpost/cmd/chartpost/worker"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/stdlog"
)

// CLI is the whole command line. Each flag without the tag percall is also an environment
// variable (CHARTPOST_ and the flag's name in capitals) and a key of the YAML file. It has
// many fields because each family of commands is one.
type CLI struct {
	Globals cli.Globals `embed:""`

	Setup      setup.Cmd       `cmd:"" help:"Create or update the streams and buckets on NATS."`
	Worker     worker.Cmd      `cmd:"" help:"Deliver jobs until stopped."`
	Intake     intake.Cmd      `cmd:"" help:"Take jobs over HTTP and NATS from programs without rights on the queue."`
	Send       job.SendCmd     `cmd:"" help:"Publish one job and follow it to its end."`
	Status     job.StatusCmd   `cmd:"" help:"Tell all that is known of one job."`
	Jobs       job.JobsCmd     `cmd:"" help:"List jobs."`
	Top        top.Cmd         `cmd:"" help:"Show how everything stands: workers, lanes, dead letters, budget, runs."`
	Watch      events.WatchCmd `cmd:"" help:"Print events as they come."`
	Events     events.Cmd      `cmd:"" help:"Export events, and say who may read them."`
	Backfill   backfill.Cmd    `cmd:"" help:"Deliver an archive: many jobs, made of a manifest."`
	Preview    job.PreviewCmd  `cmd:"" help:"Print the exact message of a job; send nothing."`
	Lane       lane.Cmd        `cmd:"" help:"See and hold the lanes."`
	Dead       dead.Cmd        `cmd:"" help:"See and resolve the dead letters."`
	Audit      audit.Cmd       `cmd:"" help:"See what operators did."`
	Outcome    outcome.Cmd     `cmd:"" help:"Follow what became of accepted messages (experimental)."`
	Check      setup.CheckCmd  `cmd:"" help:"Try the settings, NATS, S3 and Redox, one line each."`
	Schema     schemaCmd       `cmd:"" help:"Print a JSON Schema of the contract."`
	Completion completionCmd   `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCmd      `cmd:"" help:"Print the version."`
	Names      namesCmd        `cmd:"" hidden:"" help:"Print names for the completion of a shell."`
}

const description = `Delivers files from S3 into patient charts through Redox. Jobs arrive on NATS JetStream.

Exit codes:

  0  done
  1  it could not be done
  2  a flag, a setting or an input file is wrong; nothing was done
  3  the job ended without being accepted
  4  the wait for the job was over before its end; the job is in the queue
  5  there is no such job or dead letter
  6  some of it was done, and some was not; the output says what`

func main() {
	libraries := stdlog.Take()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], cli.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, InTerminal: show.IsTerminal(os.Stdin),
		OutTerminal: show.IsTerminal(os.Stdout), ErrTerminal: show.IsTerminal(os.Stderr),
		Width: show.Width(os.Stdout), Libraries: libraries,
	}))
}

// commandLine is the program whose flags g receives.
func (g *CLI) commandLine() cli.CommandLine {
	return cli.CommandLine{Name: "chartpost", Description: description, Grammar: g, Globals: &g.Globals}
}

// run parses and executes one command line and gives its exit code.
func run(ctx context.Context, args []string, std cli.Streams) int {
	return new(CLI).commandLine().Run(ctx, args, std)
}

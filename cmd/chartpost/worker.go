package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
)

type setupCmd struct {
	NATS    app.NATS    `embed:"" group:"NATS"`
	Streams app.Streams `embed:"" group:"Streams"`
}

// Help adds to the command's --help.
func (setupCmd) Help() string {
	return "Doing it twice changes nothing, and it deletes nothing. It needs the permissions of an administrator; workers need fewer."
}

func (c *setupCmd) check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.Streams.Check())
}

func (c *setupCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	queue, err := app.Queue(c.NATS, "setup", cli.Log.logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	changes, err := queue.Setup(ctx, c.Streams.Layout())
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, change := range changes {
		fmt.Fprintf(table, "%s\t%s\n", change.Name, change.Did)
	}
	table.Flush()
	return err
}

type workerCmd struct {
	NATS     app.NATS      `embed:"" group:"NATS"`
	S3       app.S3        `embed:"" prefix:"s3-" group:"S3"`
	Redox    app.Redox     `embed:"" prefix:"redox-" group:"Redox"`
	Files    app.Files     `embed:"" group:"Files"`
	Message  app.Message   `embed:"" group:"Message"`
	Delivery app.Delivery  `embed:"" group:"Delivery"`
	Budget   app.Budget    `embed:"" prefix:"budget-" group:"Budget"`
	HTTP     app.HTTP      `embed:"" group:"HTTP"`
	Tells    app.Telemetry `embed:"" group:"HTTP"`
}

// Help adds to the command's --help.
func (workerCmd) Help() string {
	return `S3 credentials come by the AWS SDK's own chain (environment, shared files, container or instance role).

SIGTERM or SIGINT: take nothing new, finish what can be finished within --grace, give the rest back, exit 0. A second signal ends the process at once; what was in hand is carried on by another worker from the ledger.`
}

func (c *workerCmd) settings() app.Settings {
	return app.Settings{NATS: c.NATS, S3: c.S3, Redox: c.Redox, Files: c.Files, Message: c.Message, Delivery: c.Delivery, Budget: c.Budget, HTTP: c.HTTP, Telemetry: c.Tells}
}

func (c *workerCmd) check(*kong.Context) error { return c.settings().Check() }

func (c *workerCmd) Run(ctx context.Context, std streams, cli *CLI) error {
	go forceOnSecondSignal(ctx)
	return app.RunWorker(ctx, c.settings(), cli.Log.logger(std), func() {})
}

// forceOnSecondSignal ends the process at the signal after the one that ended
// ctx.
func forceOnSecondSignal(ctx context.Context) {
	<-ctx.Done()
	second := make(chan os.Signal, 1)
	signal.Notify(second, os.Interrupt, syscall.SIGTERM)
	<-second
	os.Exit(exitFailed)
}

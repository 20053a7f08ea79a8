// Package worker is the command that delivers jobs.
package worker

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
)

// Cmd runs a worker.
type Cmd struct {
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
func (Cmd) Help() string {
	return `S3 credentials come by the AWS SDK's own chain (environment, shared files, container or instance role).

SIGTERM or SIGINT: take nothing new, finish what can be finished within --grace, give the rest back, exit 0. A second signal ends the process at once; what was in hand is carried on by another worker from the ledger.`
}

// Settings are those of a worker.
func (c *Cmd) Settings() app.Settings {
	return app.Settings{NATS: c.NATS, S3: c.S3, Redox: c.Redox, Files: c.Files, Message: c.Message, Delivery: c.Delivery, Budget: c.Budget, HTTP: c.HTTP, Telemetry: c.Tells}
}

// Check finds what is wrong with the flags before anything is done.
func (c *Cmd) Check(*kong.Context) error { return c.Settings().Check() }

// Run executes the command.
func (c *Cmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	go cli.ForceOnSecondSignal(ctx)
	app.BoundHeap()
	return app.RunWorker(ctx, c.Settings(), globals.Logger(std), func() {})
}

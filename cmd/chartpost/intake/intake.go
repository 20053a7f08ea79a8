// Package intake is the command that takes jobs from programs without rights on the queue.
package intake

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
)

// Cmd runs an intake.
type Cmd struct {
	Doors   app.IntakeDoors   `embed:"" group:"Intake"`
	Callers app.IntakeCallers `embed:"" group:"Intake"`
	Limits  app.IntakeLimits  `embed:"" group:"Intake"`
	Job     app.IntakeJobs    `embed:"" group:"Intake"`
	Files   app.Files         `embed:"" group:"Files"`
	Message app.Message       `embed:"" group:"Message"`
	NATS    app.NATS          `embed:"" group:"NATS"`
	S3      app.S3            `embed:"" prefix:"s3-" group:"S3"`
	HTTP    app.HTTP          `embed:"" group:"HTTP"`
}

// Help adds to the command's --help.
func (Cmd) Help() string {
	return `Examples:

  chartpost intake --redox-environment Development --nats-files '*'
  chartpost intake --intake-addr :8443 \
      --intake-tls-cert tls.crt --intake-tls-key tls.key \
      --oidc-issuer https://id.example.org --oidc-audience chartpost \
      --uploads incoming/

Takes jobs from programs that have no right on the queue: over HTTP, and over NATS as a micro service on PREFIX.submit.CLASS.DESTINATION. A job is checked as a worker checks it. It is answered when the queue has confirmed it; the same job sent again is known, and is not delivered twice. Run as many as you like.

On 127.0.0.1 callers need no credentials. Elsewhere they show a client certificate or a token. docs/intake.md has the rest.

SIGTERM or SIGINT: take nothing new, answer what is in hand within --intake-grace, exit 0.`
}

func (c *Cmd) settings() app.IntakeSettings {
	return app.IntakeSettings{NATS: c.NATS, S3: c.S3, Job: c.Job, Files: c.Files, Message: c.Message, Doors: c.Doors, Callers: c.Callers, Limits: c.Limits, HTTP: c.HTTP}
}

// Check finds what is wrong with the flags before anything is done.
func (c *Cmd) Check(*kong.Context) error { return c.settings().Check() }

// Run executes the command.
func (c *Cmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	go cli.ForceOnSecondSignal(ctx)
	app.BoundIntakeHeap()
	return app.RunIntake(ctx, c.settings(), globals.Logger(std), func(string) {})
}

package outcome

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
)

type followCmd struct {
	NATS    app.NATS      `embed:"" group:"NATS"`
	Redox   app.RedoxLogs `embed:"" prefix:"redox-" group:"Redox"`
	Outcome app.Outcome   `embed:"" prefix:"outcome-" group:"Outcomes"`
	Budget  app.Budget    `embed:"" prefix:"budget-" group:"Budget"`
	HTTP    app.HTTP      `embed:"" group:"HTTP"`
	Tells   app.Telemetry `embed:"" group:"HTTP"`

	SourceIsOurs bool   `name:"source-is-ours" help:"Only this deployment sends from --redox-source-id. Only then are logs counted. If that is false, outcomes can be false: docs/outcomes.md." group:"Outcomes"`
	OnUnknown    string `default:"resend" enum:"resend,hold,evidence" help:"Of a message that Redox may or may not have: resend (three times at most, then hold), hold for a person, or evidence: hold, and outcome follow resends what Redox's logs do not show. After a 2xx it is always held." group:"Delivery"`
}

// Help adds to the command's --help.
func (followCmd) Help() string {
	return `Experimental: it was written from Redox's documents and never tried against the live service. Run chartpost outcome probe first.

Of several followers one works, and another takes over when it ends. It tells each message's outcome as an event (delivered, filtered, undelivered, stalled, unconfirmed), from the search of Redox's logs. It uses --outcome-share of the request budget at most, and gives way to deliveries. Where that is too little it lags, and skips nothing.

Examples:

  chartpost outcome setup
  chartpost outcome follow --outcome-organization 4711 \
      --outcome-client-id … --outcome-key-file user.pem
  chartpost events export --status undelivered,filtered --since 1d`
}

func (c *followCmd) settings() app.FollowSettings {
	return app.FollowSettings{
		NATS: c.NATS, Redox: c.Redox.Redox(), Outcome: c.Outcome, Budget: c.Budget, HTTP: c.HTTP, Telemetry: c.Tells,
		SourceIsOurs: c.SourceIsOurs, OnUnknown: c.OnUnknown,
	}
}

// Check finds what is wrong with the flags before anything is done.
func (c *followCmd) Check(*kong.Context) error { return c.settings().Check() }

// Run executes the command.
func (c *followCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	app.BoundHeap()
	return app.RunFollower(ctx, c.settings(), globals.Logger(std), func() {})
}

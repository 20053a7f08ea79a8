package events

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
	"github.com/chartpost/chartpost/schemas"
)

// subscriptionName names a subscription on the command line.
type subscriptionName struct {
	Name string `arg:"" name:"subscription" help:"Name of the subscription: 1 to 48 of letters, digits, _ and -."`
}

func (n subscriptionName) check() error {
	if !natsq.ValidSubscription(n.Name) {
		return errors.New("<subscription>: must have 1 to 48 of letters, digits, _ and -")
	}
	return nil
}

type subscribeCmd struct {
	subscriptionName `embed:""`
	selector         `embed:""`

	Since string `placeholder:"TIME" help:"Begin with the events from then on: 2h (ago), 2026-11-20, 2026-11-20T18:00:00Z; empty is all that are kept." group:"Events" percall:""`
	New   bool   `help:"Begin with the next event that is published." group:"Events" percall:""`

	cli.AuditFlags `embed:""`

	JSON bool     `name:"json" help:"Print JSON." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`

	since time.Time
}

// Help adds to the command's --help.
func (subscribeCmd) Help() string {
	return `Examples:

  chartpost events subscribe journal --final --reason "for billing"
  chartpost events subscribe clinic --destination good-health --new
  chartpost events subscribe alarms --class live --status failed,unknown

A subscription is a durable pull consumer of the stream of events. It remembers how far its watcher has come, delivers again after a minute what was not acknowledged, and stays until it is removed, however long nobody reads. Events older than --events-age are gone all the same.

A watcher cannot make one: whoever can make a consumer can have jobs delivered to it. It may only read from the one that is named in its permissions, with any NATS client or with "chartpost watch --subscription NAME". docs/permissions.md shows the lines, docs/integrating.md the code.

A subscription that selects the same events already is left as it is. To select others, remove it first or take another name.`
}

func (c *subscribeCmd) Check(*kong.Context) error {
	faults := []error{c.subscriptionName.check(), c.NATS.Check(), c.selector.check(), c.Complete(false)}
	if c.Since != "" {
		var err error
		if c.since, err = cli.ParseTime(c.Since, time.Now()); err != nil {
			faults = append(faults, fmt.Errorf("--since: %w", err))
		}
	}
	if c.New && c.Since != "" {
		faults = append(faults, errors.New("--new: begins with the next event; leave --since out"))
	}
	return errors.Join(faults...)
}

// parameters are the settings of the subscription, for the audit.
func (c *subscribeCmd) parameters() map[string]string {
	all := map[string]string{"class": c.Class, "destination": c.Destination}
	var statuses []string
	for _, status := range c.selection().Statuses {
		statuses = append(statuses, string(status))
	}
	all["statuses"] = strings.Join(statuses, ",")
	switch {
	case c.New:
		all["since"] = "new"
	case !c.since.IsZero():
		all["since"] = c.since.UTC().Format(time.RFC3339)
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

func (c *subscribeCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	edit := subscriptionEdit{c.subscriptionName, c.NATS, c.AuditFlags, c.JSON}
	return edit.run(ctx, std, globals, schemas.EventsSubscribe, c.parameters(), func(ctx context.Context, queue *natsq.Conn) (string, error) {
		made, err := queue.Subscribe(ctx, c.Name, c.selection(), natsq.Beginning{New: c.New, Since: c.since})
		if errors.Is(err, natsq.ErrOtherSubscription) {
			return "", fmt.Errorf("%w; remove it with `chartpost events unsubscribe %s`, or take another name", err, c.Name)
		}
		if !made {
			return "was there already", err
		}
		return "made", err
	})
}

// subscriptionEdit is one change of a subscription by an operator.
type subscriptionEdit struct {
	subscriptionName
	nats  app.NATS
	audit cli.AuditFlags
	json  bool
}

// subscriptionDone is what was done with a subscription, in JSON.
type subscriptionDone struct {
	Subscription string `json:"subscription"`
	Did          string `json:"did"`
}

func (e subscriptionEdit) run(
	ctx context.Context, std cli.Streams, globals *cli.Globals, action schemas.Action, parameters map[string]string,
	act func(context.Context, *natsq.Conn) (did string, err error),
) error {
	queue, err := cli.Connect(e.nats, "events", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	var did string
	err = e.audit.Trail(ctx, queue, e.nats.Prefix, action, parameters).Do(ctx, schemas.Target{Subscription: e.Name}, func() (string, error) {
		did, err = act(ctx, queue)
		return did, err
	})
	switch {
	case errors.Is(err, natsq.ErrNoSubscription):
		return cli.Exit(cli.ExitNothing, fmt.Errorf("%s: %w", e.Name, err))
	case errors.Is(err, natsq.ErrOtherSubscription):
		return cli.Usage(fmt.Errorf("%s: %w", e.Name, err))
	case err != nil:
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	case e.json:
		return cli.JSONLines(std.Out).Encode(subscriptionDone{e.Name, did})
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s\n", e.Name, did)
	return err
}

type unsubscribeCmd struct {
	subscriptionName `embed:""`
	cli.AuditFlags   `embed:""`
	cli.YesFlag      `embed:""`

	JSON bool     `name:"json" help:"Print JSON." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (unsubscribeCmd) Help() string {
	return `Examples:

  chartpost events unsubscribe journal
  chartpost events unsubscribe clinic --reason "moved to another system" --yes

How far its watcher has come is lost with it; the events stay in the stream. Take the lines of its permissions away too: a new subscription of the same name would be open to the old watcher.`
}

func (c *unsubscribeCmd) Check(*kong.Context) error {
	return errors.Join(c.subscriptionName.check(), c.NATS.Check(), c.Complete(false))
}

func (c *unsubscribeCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	question := fmt.Sprintf("Remove the subscription %s, and how far its watcher has come?", c.Name)
	if err := c.Confirm(ctx, std, question); err != nil {
		return err
	}
	edit := subscriptionEdit{c.subscriptionName, c.NATS, c.AuditFlags, c.JSON}
	return edit.run(ctx, std, globals, schemas.EventsUnsubscribe, nil, func(ctx context.Context, queue *natsq.Conn) (string, error) {
		return "removed", queue.Unsubscribe(ctx, c.Name)
	})
}

type subscriptionsCmd struct {
	JSON bool     `name:"json" help:"Print JSON, one subscription a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (subscriptionsCmd) Help() string {
	return `Examples:

  chartpost events subscriptions
  chartpost events subscriptions --json | jq 'select(.pending > 1000)'

PENDING are the events that it has not given yet, UNACKNOWLEDGED those that it gave and that its watcher has not acknowledged. LAST ACTIVE is when it last gave one or got an acknowledgement; a server that starts again forgets that time. A subscription in which more and more is pending has no watcher, or a slow one: after --events-age its events are gone.`
}

func (c *subscriptionsCmd) Check(*kong.Context) error { return c.NATS.Check() }

// subscriptionJSON is a subscription in JSON.
type subscriptionJSON struct {
	Subscription   string     `json:"subscription"`
	Subjects       []string   `json:"subjects"`
	CreatedAt      time.Time  `json:"created_at"`
	Pending        uint64     `json:"pending"`
	Unacknowledged int        `json:"unacknowledged"`
	LastActiveAt   *time.Time `json:"last_active_at,omitempty"`
}

func (c *subscriptionsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "events", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	all, err := queue.Subscriptions(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	encoder := cli.JSONLines(std.Out)
	var rows [][]string
	for _, s := range all {
		if c.JSON {
			line := subscriptionJSON{s.Name, s.Filters, s.Created, s.Pending, s.Unacknowledged, nil}
			if !s.LastActive.IsZero() {
				line.LastActiveAt = &s.LastActive
			}
			if err := encoder.Encode(line); err != nil {
				return err
			}
			continue
		}
		active := "never"
		if !s.LastActive.IsZero() {
			active = cli.When(s.LastActive)
		}
		rows = append(rows, []string{s.Name, fmt.Sprint(s.Pending), fmt.Sprint(s.Unacknowledged), active, strings.Join(s.Filters, " ")})
	}
	if c.JSON {
		return nil
	}
	return show.Table(std.Out, []string{"SUBSCRIPTION", "PENDING", "UNACKNOWLEDGED", "LAST ACTIVE", "SUBJECTS"}, rows)
}

package dead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

type replayCmd struct {
	target `embed:""`

	Unknown       bool          `help:"Also send again jobs of unknown outcome, which Redox may have already; their events say so." group:"Dead letters" percall:""`
	ExpiresIn     time.Duration `placeholder:"TIME" help:"Give the jobs this long from now, like 72h, in place of their own expires_at." group:"Dead letters" percall:""`
	Rate          string        `default:"50/s" help:"Most jobs in a time: 50/s, 600/m or 1000/h." group:"Dead letters" percall:""`
	WithFollowers bool          `help:"Also run the dead jobs that name these in after, and those that name them in turn, each behind its predecessor." group:"Dead letters" percall:""`
	DryRun        bool          `help:"Say of each what would be done, and do nothing." group:"Dead letters" percall:""`

	cli.AuditFlags `embed:""`
	cli.YesFlag    `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one dead letter a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`

	every time.Duration
}

// Help adds to the command's --help.
func (replayCmd) Help() string {
	return `Examples:

  chartpost dead replay lab-2026-000123 --reason "the object is back"
  chartpost dead replay --code file_forbidden --since 24h --dry-run
  chartpost dead replay note-7 --with-followers
  chartpost dead replay --destination good-health --code expired \
      --rate 20/s --expires-in 72h --reason "key corrected" --yes

A job goes back to its lane as it came and begins its next attempt; its dead letter is removed when the queue has the job. Interrupted, the command can be repeated: what is on its way is not sent again. Dead letters of the same job go together. A dead letter is kept for longer than the ledger remembers its job (--dead-age, --ledger-age): the events of a job that it has forgotten say possible_duplicate, and the output says so.

A job that names another in after fails as predecessor_failed where that one has failed. --with-followers sends the predecessor first and what comes after it next; a follower is refused where its predecessor was.

Refused, and left where they are: jobs that were accepted since, whose expires_at has passed (see --expires-in), that cannot be understood, that came under an id that was taken; and those of unknown outcome, without --unknown. Exit code 6 when some were refused or some of the jobs that you named have no dead letter, 1 when all were refused, 5 when there is no such dead letter.`
}

func (c *replayCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.target.check(), c.Complete(false)}
	var err error
	if c.every, err = perSecond(c.Rate); err != nil {
		faults = append(faults, err)
	}
	if c.ExpiresIn < 0 {
		faults = append(faults, errors.New("--expires-in: must be positive"))
	}
	return errors.Join(faults...)
}

func (c *replayCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
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
	stacks := deadletter.Stacks(letters)
	if c.WithFollowers {
		if stacks, err = withFollowers(ctx, desk.Conn, stacks); err != nil {
			return err
		}
	}
	if len(stacks) > 0 && !c.DryRun {
		if !c.Yes {
			preview(std, stacks)
		}
		if err := c.Confirm(ctx, std, fmt.Sprintf("Run %s again?", jobs(len(stacks)))); err != nil {
			return err
		}
	}
	terms := deadletter.Terms{Unknown: c.Unknown, DryRun: c.DryRun}
	parameters := map[string]string{"rate": c.Rate}
	if c.ExpiresIn > 0 {
		terms.Expires = time.Now().Add(c.ExpiresIn)
		parameters["expires_at"] = terms.Expires.UTC().Format(time.RFC3339)
	}
	if c.Unknown {
		parameters["unknown"] = "true"
	}
	if c.WithFollowers {
		parameters["with_followers"] = "true"
	}
	notes := c.Trail(ctx, desk.Conn, c.NATS.Prefix, schemas.DeadReplay, parameters)
	b := &bulk{std: std, missing: missing, json: c.JSON, dryRun: c.DryRun, every: c.every}
	var order deadletter.InOrder
	b.act = func(ctx context.Context, s deadletter.Stack) (deadletter.Outcome, error) {
		return order.Next(s, func() (deadletter.Outcome, error) {
			return desk.noted(ctx, notes, func() (deadletter.Outcome, error) { return desk.Replay(ctx, s.Newest, terms, s.Older...) })
		})
	}
	if c.DryRun {
		b.every = 0
	}
	return b.run(ctx, stacks)
}

// withFollowers reads the dead letters once more for those that come after stacks.
func withFollowers(ctx context.Context, queue *natsq.Conn, stacks []deadletter.Stack) ([]deadletter.Stack, error) {
	var all []natsq.Letter
	err := queue.Letters(ctx, func(l natsq.Letter) bool {
		if l.After != "" {
			all = append(all, l)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	return deadletter.WithFollowers(stacks, all), nil
}

// jobs counts jobs for people.
func jobs(n int) string {
	if n == 1 {
		return "one job"
	}
	return fmt.Sprintf("%d jobs", n)
}

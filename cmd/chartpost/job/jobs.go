package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/joblist"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// JobsCmd are the commands for many jobs.
type JobsCmd struct {
	Ls jobsLsCmd `cmd:"" help:"List jobs by state, destination, class, reason, correlation and time."`
}

type jobsLsCmd struct {
	State         []string          `enum:"working,sending,waiting,accepted,failed,unknown,cancelled" placeholder:"STATE" help:"Only jobs in these states, separated by commas: working, sending, waiting, accepted, failed, unknown or cancelled." group:"Jobs" percall:""`
	Destination   string            `placeholder:"NAME" help:"Only jobs of this slug or id." group:"Jobs" percall:""`
	Class         string            `default:"" enum:",live,backfill" placeholder:"CLASS" help:"Only jobs of this class: live or backfill." group:"Jobs" percall:""`
	Code          string            `placeholder:"CODE" help:"Only jobs whose last event has this code of the reason." group:"Jobs" percall:""`
	Correlation   map[string]string `mapsep:"," placeholder:"KEY=VALUE" help:"Only jobs with this correlation; several must all be there." group:"Jobs" percall:""`
	cli.TimeFlags `embed:"" group:"Jobs"`

	Limit  int      `default:"50" placeholder:"N" help:"How many jobs to list, the newest first." group:"Jobs" percall:""`
	Before uint64   `placeholder:"N" help:"Go on behind an earlier list, whose last line says with which number." group:"Jobs" percall:""`
	JSON   bool     `name:"json" help:"Print JSON, one job a line." group:"Output"`
	NATS   app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (jobsLsCmd) Help() string {
	return `Examples:

  chartpost jobs ls --correlation order=4711
  chartpost jobs ls --state failed,unknown --since 24h
  chartpost jobs ls --destination good-health --class live --json
  chartpost jobs ls --state failed --code file_missing --limit 200

A job is found by the correlation that its submitter gave. Each job is listed once, with its state: the word that "chartpost status" says of it. --since and --until are about the last event of a job.

A job that no worker has told of yet has no event, and is not listed: see "chartpost lane ls" for how many wait. Events of status duplicate tell of a copy and do not change a job's state. Jobs whose events are older than --events-age are gone.

The workers keep an index of the events. What is not in it yet is read from the events themselves, so that the list is complete at any time, and slower where much is missing.

Exit code 0, also when no job is found.`
}

// mostListed bounds a page.
const mostListed = 10_000

// Check finds what is wrong with the flags before anything is done.
func (c *jobsLsCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.Parse(time.Now())}
	if c.Destination != "" && !schemas.ValidAddress(c.Destination) {
		faults = append(faults, errors.New("--destination: must be a slug or id as jobs have it: 1 to 128 of letters, digits and . _ ~ -"))
	}
	if c.Limit < 1 || c.Limit > mostListed {
		faults = append(faults, fmt.Errorf("--limit: must be 1 to %d; go on with --before", mostListed))
	}
	return errors.Join(faults...)
}

// Run executes the command.
func (c *jobsLsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "jobs", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	began := time.Now()
	page, err := c.list(ctx, std, queue)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if c.JSON {
		encoder := cli.JSONLines(std.Out)
		for _, j := range page.Jobs {
			if err := encoder.Encode(j); err != nil {
				return err
			}
		}
	} else if err := printJobs(std.Out, page.Jobs); err != nil {
		return err
	}
	c.told(std, page, time.Since(began))
	return nil
}

func (c *jobsLsCmd) list(ctx context.Context, std cli.Streams, queue *natsq.Conn) (joblist.Page, error) {
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		return joblist.Page{}, err
	}
	view, err := c.open(ctx, std, queue.Index())
	if err != nil {
		return joblist.Page{}, err
	}
	return joblist.Lister{View: view, Records: ledger.New(bucket, ledger.Patience)}.List(ctx, c.query())
}

// open opens the index, and does without where there is none.
func (c *jobsLsCmd) open(ctx context.Context, std cli.Streams, index *jobindex.Index) (*jobindex.View, error) {
	view, err := index.Open(ctx)
	if !errors.Is(err, natsq.ErrNoIndex) {
		return view, err
	}
	fmt.Fprintf(std.Err, "(%v)\n", natsq.ErrNoIndex)
	return index.OpenWithout(ctx)
}

func (c *jobsLsCmd) query() joblist.Query {
	q := joblist.Query{
		Class: schemas.Class(c.Class), Destination: c.Destination, Code: c.Code, Correlation: c.Correlation,
		Since: c.From, Until: c.TimeFlags.Before, Before: c.Before, Limit: c.Limit,
	}
	for _, s := range c.State {
		q.States = append(q.States, joblist.State(s))
	}
	return q
}

// manyUnindexed is from how many events on it is worth a word that they were read.
const manyUnindexed = 2 * jobindex.MostEvents

// told says what the list took, and how to go on.
func (c *jobsLsCmd) told(std cli.Streams, page joblist.Page, took time.Duration) {
	cost := page.Cost.Index
	if cost.Unindexed > manyUnindexed {
		fmt.Fprintf(std.Err, "(%d events are not in the index yet; workers add them)\n", cost.Unindexed)
	}
	if !c.JSON {
		fmt.Fprintf(std.Err, "(%d jobs in %s: read %d kB of the index and %d events)\n",
			len(page.Jobs), took.Round(time.Millisecond), cost.Bytes/1000, cost.Unindexed+page.Cost.Events)
	}
	if page.Next > 0 {
		fmt.Fprintf(std.Err, "there are more: go on with --before %d\n", page.Next)
	}
}

package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/timeline"
	"github.com/chartpost/chartpost/schemas"
)

// StatusCmd shows what is known of one job.
type StatusCmd struct {
	Job string `arg:"" help:"The job: its id, which shows that of every destination, or DESTINATION/ID."`

	Since   string   `placeholder:"TIME" help:"Read the events from then on (2h ago, 2026-11-20, 2026-11-20T18:00:00Z) instead of those around what the ledger says." group:"Status" percall:""`
	Waiting int      `default:"1000" placeholder:"N" help:"How many of the oldest jobs in the lanes to look at for one that no worker has taken yet." group:"Status" percall:""`
	JSON    bool     `name:"json" help:"Print JSON." group:"Output"`
	NATS    app.NATS `embed:"" group:"NATS"`

	since time.Time
}

// Help adds to the command's --help.
func (StatusCmd) Help() string {
	return `Examples:

  chartpost status lab-2026-000123
  chartpost status good-health/lab-2026-000123
  chartpost status lab-2026-000123 --json | jq .state
  chartpost status lab-2026-000123 --since 2026-11-01

It puts together the ledger's record, the copy or the schedule in the queue, the dead letters, the events, and what operators did. Nothing of the job's content is shown. Of a job that waits in its lane it says why, as far as the lane's state tells.

Events are kept by lane, not by job. The headers of those in question are read, some 120 bytes each, about 50,000 a second; the last line says how many. A job whose record has expired (--ledger-age) needs --since to find its accepted event.

Exit code 0 when anything is known of the job, whatever became of it; 5 when nothing is.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *StatusCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	if _, err := schemas.ParseJobKey(c.Job); err != nil {
		faults = append(faults, cli.ErrJob)
	}
	if c.Waiting < 0 {
		faults = append(faults, errors.New("--waiting: must not be negative"))
	}
	if c.Since != "" {
		var err error
		if c.since, err = cli.ParseTime(c.Since, time.Now()); err != nil {
			faults = append(faults, fmt.Errorf("--since: %w", err))
		}
	}
	return errors.Join(faults...)
}

// Run executes the command.
func (c *StatusCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "status", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	options := timeline.Options{Since: c.since, Waiting: c.Waiting}
	keys, err := c.keys(ctx, queue, options)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	for i, key := range keys {
		began := time.Now()
		job, err := timeline.Gather(ctx, queue, ledger.New(bucket, ledger.Patience), key, options)
		if errors.Is(err, timeline.ErrUnknown) {
			return cli.Exit(cli.ExitNothing, fmt.Errorf("job %s: %w\n%s", c.Job, err, c.whatElse(job)))
		}
		if err != nil {
			return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
		}
		if i > 0 && !c.JSON {
			fmt.Fprintln(std.Out)
		}
		waits, err := timeline.Why(ctx, queue, job, time.Now())
		if err != nil {
			fmt.Fprintln(std.Err, "(the lanes could not be read: why the job waits is left out)")
		}
		if err := c.print(std, job, waits, began); err != nil {
			return err
		}
	}
	return nil
}

// keys are the jobs to show: where none of that id is known, the id alone.
func (c *StatusCmd) keys(ctx context.Context, queue *natsq.Conn, options timeline.Options) ([]schemas.JobKey, error) {
	key, err := schemas.ParseJobKey(c.Job)
	if err != nil {
		return nil, cli.Usage(err)
	}
	if key.Destination != "" {
		return []schemas.JobKey{key}, nil
	}
	keys, err := timeline.Find(ctx, queue, key.ID, options)
	if len(keys) == 0 {
		keys = []schemas.JobKey{key}
	}
	return keys, err
}

func (c *StatusCmd) print(std cli.Streams, job *timeline.Job, waits diagnosis.Answer, began time.Time) error {
	if c.JSON {
		return cli.JSONLines(std.Out).Encode(statusJSON(job, waits))
	}
	if err := printStatus(std, job, waits, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "(read the headers of %d events in %s)\n", job.Cost.Events, time.Since(began).Round(time.Millisecond))
	return nil
}

// whatElse tells where a job can be of which nothing was found.
func (c *StatusCmd) whatElse(job *timeline.Job) string {
	text := fmt.Sprintf("it has no record, schedule, dead letter or event, and is none of the %d jobs in the lanes that were looked at", job.Cost.Waiting)
	if job.Cost.Waiting == c.Waiting {
		text += "; there are more: see --waiting"
	}
	if c.Since == "" {
		text += "\na job that ended long ago may have events: see --since"
	}
	return text
}

// Package job has the commands for one job.
package job

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// SendCmd publishes one job and follows it.
type SendCmd struct {
	Job string `arg:"" optional:"" help:"Job as a JSON file; - reads standard input. Without it the flags below make one."`

	Wait time.Duration `default:"1m" help:"How long to follow the job; 0 returns once it is published."`
	JSON bool          `name:"json" help:"Print the events as JSON, one a line."`

	jobFlags    `embed:"" group:"Job"`
	uploadFlags `embed:"" group:"Job"`
	Class       string   `default:"live" enum:"live,backfill" placeholder:"live" help:"Lane of the job: live or backfill; live goes first." group:"Publishing"`
	NATS        app.NATS `embed:"" group:"NATS"`
	S3          app.S3   `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (SendCmd) Help() string {
	return `Examples:

  chartpost send job.json
  chartpost send job.json --upload report.pdf --wait 0
  chartpost send --to good-health --redox-environment Development \
      --patient patient.json --upload report.pdf --bucket reports
  chartpost send --to good-health --redox-environment Development \
      --patient patient.json --file s3://reports/2026/11/a.pdf --json

The job is checked as the worker checks it before anything is uploaded or published. Destination and id name it: what was accepted under that name is not sent again, and what failed is, at once. It is then followed to its end: exit code 0 when it was accepted, 3 when it ended otherwise, 4 when --wait was over first.

A traceparent in the variable TRACEPARENT goes with the job, so that its trace holds the delivery.

S3 is used with --upload only; its credentials come by the AWS SDK's own chain.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *SendCmd) Check(k *kong.Context) error {
	var wait error
	if c.Wait < 0 {
		wait = errors.New("--wait must not be negative; 0 returns once the job is published")
	}
	return errors.Join(c.withJob(c.Job, k, "upload"), c.uploadFlags.check(c.Job != "", len(c.File)), wait, c.NATS.Check(), c.S3.Check())
}

// Run executes the command.
func (c *SendCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	data, err := c.read(ctx, std, time.Now())
	if err != nil {
		return err
	}
	job, err := understand(data, "", std.ErrTerminal)
	if err != nil {
		return err
	}
	if err := c.sendable(job, time.Now()); err != nil {
		return err
	}
	queue, err := cli.Connect(c.NATS, "send", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	if c.Upload != "" {
		if err := c.put(ctx, c.S3, job.Files[0]); err != nil {
			return err
		}
	}
	p := publication{queue: queue, lane: schemas.Lane{Class: schemas.Class(c.Class), Destination: job.Destination.Address()}, id: job.ID, data: data, std: std, correlation: job.Correlation}
	if c.Wait == 0 {
		return p.submit(ctx)
	}
	return p.follow(ctx, c.Wait, c.printer(std))
}

// sendable refuses a job that a worker would end at once: it has expired, or it names a
// file in a bucket that --s3-buckets does not allow.
func (c *SendCmd) sendable(job schemas.Job, now time.Time) error {
	if now.After(job.Deadline()) {
		if job.ExpiresAt.IsZero() {
			return cli.Usage(errors.New("the job would be refused:\n  /requested_at is more than 72 h ago, and a job without expires_at expires 72 h after it: set expires_at, or requested_at to the present time (expired)"))
		}
		return cli.Usage(errors.New("the job would be refused:\n  /expires_at has passed: set a later time (expired)"))
	}
	var faults []error
	for i, file := range job.Files {
		if err := s3source.Admit(c.S3.Buckets, file); err != nil {
			faults = append(faults, fmt.Errorf("  /files/%d: %w", i, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return cli.Usage(fmt.Errorf("the job would be refused:\n%w", err))
	}
	return nil
}

// read gives the job's bytes.
func (c *SendCmd) read(ctx context.Context, std cli.Streams, now time.Time) ([]byte, error) {
	if c.Job != "" {
		return readJob(ctx, c.Job, std.In)
	}
	if c.ID == "" {
		c.ID = newID(now)
	}
	first, err := c.target(&c.jobFlags)
	if err != nil {
		return nil, cli.Usage(err)
	}
	data, err := c.build(now, first)
	return data, cli.Usage(err)
}

// printer shows one event.
func (c *SendCmd) printer(std cli.Streams) func(schemas.Event) error {
	if !c.JSON {
		return show.NewEvents(std.Out, show.Color(std.OutTerminal, os.Getenv)).Add
	}
	encoder := json.NewEncoder(std.Out)
	encoder.SetEscapeHTML(false)
	return func(e schemas.Event) error { return encoder.Encode(e) }
}

// publication is one job on its way into the queue.
type publication struct {
	queue *natsq.Conn
	lane  schemas.Lane
	id    string
	data  []byte
	std   cli.Streams

	correlation map[string]string
}

// traceVariable is how a program hands its trace on to those it starts
// (OpenTelemetry, "Environment Variables as Context Propagation Carriers").
const traceVariable = "TRACEPARENT"

func (p publication) submit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	ctx = schemas.WithTrace(ctx, schemas.ParseTrace(os.Getenv(traceVariable)))
	if err := p.publish(ctx); err != nil {
		return cli.Exit(cli.ExitFailed, fmt.Errorf("publishing the job: %w\n%s", err, cli.AdviceStreams))
	}
	fmt.Fprintln(p.std.Err, "published", p.id)
	return nil
}

// publish stores the job. One that names a line of a backfill run is published as a
// run does: an operator may, and only then its events count for the run.
func (p publication) publish(ctx context.Context) error {
	outbox := p.queue.Outbox()
	run, line, labeled := backfill.LineOf(p.correlation)
	if !labeled {
		return outbox.Submit(ctx, p.lane, p.id, p.data)
	}
	return outbox.Resubmit(ctx, p.lane, rand.Text(), worker.Line{Run: run, Number: line}, p.data)
}

var errWaited = errors.New("the wait is over")

// follow publishes the job and prints its events until the last one. Events of an
// earlier run of the job are not among them. The wait
// begins with the publish: it cannot end with a job that is not on its way.
func (p publication) follow(ctx context.Context, wait time.Duration, print func(schemas.Event) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var published bool
	var written error
	var last schemas.Status
	err := p.queue.Watch(ctx, &p.lane, time.Time{},
		func() error {
			if err := p.submit(ctx); err != nil {
				return err
			}
			published = true
			time.AfterFunc(wait, func() { stop(errWaited) })
			return nil
		},
		func(event schemas.Event) bool {
			if event.Data.JobID != p.id {
				return true
			}
			written = print(event)
			last = event.Data.Status
			return written == nil && !last.Final()
		})
	if err == nil {
		err = written
	}
	switch {
	case err != nil && published:
		return fmt.Errorf("%w\nthe job is published; `chartpost status %s` says where it is", err, p.id)
	case err != nil:
		if _, told := errors.AsType[*cli.Failure](err); told { // by submit
			return err
		}
		return fmt.Errorf("%w\nthe job was not published; %s", err, cli.AdviceStreams)
	case last == schemas.StatusAccepted:
		return nil
	case last.Final():
		return cli.Exit(cli.ExitNotAccepted, fmt.Errorf("the job %s ended as %s", p.id, last))
	case errors.Is(context.Cause(ctx), errWaited):
		return cli.Exit(cli.ExitTimeout, fmt.Errorf("the job %s had not ended after %s%s; `chartpost status %s` says where it is", p.id, wait, p.unheard(ctx, last), p.id))
	}
	return fmt.Errorf("interrupted; the job is published, and `chartpost status %s` says where it is", p.id)
}

// unheard says that no worker told of the job, where none did, and why, as far as that
// is known: a person must not wait for what cannot go on by itself.
func (p publication) unheard(ctx context.Context, last schemas.Status) string {
	if last != "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unheardTime)
	defer cancel()
	seen, err := overview.LookAtLanes(ctx, p.queue, time.Now())
	if err != nil {
		return ", and no worker has told of it"
	}
	facts := diagnosis.Facts{Now: time.Now(), Fleet: seen.Fleet}
	for _, l := range seen.Lanes {
		if l.State.Lane == p.lane {
			facts.Lane = overview.LaneFacts(l.LaneReport)
		}
	}
	why := diagnosis.Why(facts)
	switch {
	case why.Is(diagnosis.NoWorker):
		return ", and it stays in the queue: " + why.Text() + "; start a worker with `chartpost worker`"
	case len(why.Causes) > 0:
		return ", and no worker has told of it: " + why.Text()
	}
	return ", and no worker has told of it"
}

// unheardTime is how long a person who waited already waits for the reason.
const unheardTime = 5 * time.Second

package backfill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/backfill/report"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/schemas"
)

type runCmd struct {
	manifestFlags `embed:"" group:"Manifest"`
	Reading       readingFlags `embed:"" group:"Manifest"`
	From          fromFlags    `embed:"" group:"Manifest"`
	Admit         admitFlags   `embed:"" group:"Settings to compare with"`

	ID         string     `name:"id" placeholder:"NAME" help:"Name of the run, 1 to 48 letters, digits and hyphens; empty makes one. The name of a run that is there goes on with it." group:"Run" percall:""`
	OnlyFailed string     `type:"path" placeholder:"REPORT" help:"Only the lines that failed in this report, CSV or NDJSON, of an earlier run of the same manifest." group:"Run" percall:""`
	SkipFaulty bool       `help:"Start although lines are no jobs; they count as failed." group:"Run" percall:""`
	Quick      bool       `help:"Hold lines to the job's schema alone, not to the rules of its message; what breaks those fails at the worker. Takes less than half the time." group:"Run"`
	Limits     limitFlags `embed:"" group:"Run"`
	Follow     bool       `default:"true" negatable:"" help:"Stay until every job has ended. With --no-follow the command ends when every job is published." group:"Run"`

	cli.AuditFlags `embed:""`

	Message app.Message `embed:"" group:"Message"`
	Budget  app.Budget  `embed:"" prefix:"budget-" group:"Budget to show; the workers' settings"`
	HTTP    app.HTTP    `embed:"" group:"HTTP"`
	NATS    app.NATS    `embed:"" group:"NATS"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`

	// now is how far the run is; it holds nil until the run is fed.
	now *atomic.Pointer[func() app.RunProgress]
}

// progress is what metrics tell of the run.
func (c *runCmd) progress() app.RunProgress {
	if now := c.now.Load(); now != nil {
		return (*now)()
	}
	return app.RunProgress{Name: c.ID}
}

// Help adds to the command's --help.
func (runCmd) Help() string {
	return `Examples:

  chartpost backfill run archive.csv --template template.yaml --id y2019
  chartpost backfill run archive.csv --template template.yaml --id y2019 \
      --pilot 10
  chartpost backfill resume y2019
  chartpost backfill status y2019
  chartpost backfill pause y2019
  chartpost backfill report y2019 archive.csv --template template.yaml \
      --out report.csv
  chartpost backfill run archive.csv --template template.yaml --id y2019-b \
      --only-failed report.csv

The run lives in NATS. Ctrl-C, a crash, or the loss of the machine stops the feeding and nothing else: the same command with the same --id, manifest and template goes on, here or anywhere, and no line is submitted twice. A run has one feeder at a time. Once started it takes no other manifest, template or settings.

The manifest is read whole before the first job is published, and again while feeding. Exit code 0 when every job was accepted, 3 when one was not.`
}

func (c *runCmd) Check(*kong.Context) error {
	faults := []error{c.manifestFlags.check(), c.Reading.check(), c.From.check(c.Manifest), c.Admit.check(), c.Complete(false), c.Message.Check(), c.Budget.Check(), c.HTTP.Check(), c.NATS.Check(), c.S3.Check()}
	if c.ID != "" {
		if err := backfill.CheckRunID(c.ID); err != nil {
			faults = append(faults, fmt.Errorf("--id: %w", err))
		}
	}
	_, err := c.Limits.limits()
	faults = append(faults, err)
	return errors.Join(faults...)
}

// runHeap is what Go may hold while a run is fed, softly.
const runHeap = 64 << 20

func (c *runCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(runHeap))
	desk, err := openDesk(ctx, c.NATS, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	c.now = new(atomic.Pointer[func() app.RunProgress])
	// A port that is taken is found before there is a run.
	done, err := app.ServeRun(ctx, c.HTTP, c.progress, desk.queue.Troubles, globals.Logger(std))
	if err != nil {
		return err
	}
	defer done()
	if c.ID == "" {
		c.ID = time.Now().UTC().Format("bf-20060102-150405-") + strings.ToLower(rand.Text()[:4])
	}
	if _, err := fmt.Fprintln(std.Out, c.ID); err != nil {
		return err
	}
	if err := c.list(ctx, std); err != nil {
		return err
	}
	m, err := c.manifestFlags.stored(ctx, c.S3, c.Message, c.Reading.reading())
	if err != nil {
		return err
	}
	defer m.Close()
	run, survey, err := c.begin(ctx, std, desk, m)
	if err != nil {
		return err
	}
	return c.feed(ctx, std, desk, m, run, survey)
}

// list writes the manifest where --from says to.
func (c *runCmd) list(ctx context.Context, std cli.Streams) error {
	if c.From.From == "" {
		return nil
	}
	c.Reading.listed()
	source, err := app.Source(ctx, c.S3, app.Delivery{Concurrency: 1, Stall: time.Minute})
	if err != nil {
		return err
	}
	return c.From.save(ctx, std, source, c.Manifest)
}

// begin looks at the whole manifest, and makes the run or finds it as it was.
func (c *runCmd) begin(ctx context.Context, std cli.Streams, desk *desk, m *storedManifest) (backfill.Run, *backfill.Survey, error) {
	run, _, err := backfill.LoadRun(ctx, desk.runs, c.ID)
	fresh := errors.Is(err, backfill.ErrNoRun)
	if err != nil && !fresh {
		return run, nil, err
	}
	if fresh {
		run = backfill.Run{ID: c.ID, StartedAt: time.Now().UTC().Truncate(time.Second), Reading: backfill.Reading{Quick: c.Quick}, State: backfill.Running, By: c.Operator, Changed: time.Now().UTC()}
	}
	m.run = run.StartedAt
	if c.OnlyFailed != "" {
		if m.only, m.onlySource, err = report.Failed(c.OnlyFailed); err != nil {
			return run, nil, cli.Usage(fmt.Errorf("--only-failed: %w", cli.Cause(err)))
		}
	}
	survey := backfill.NewSurvey(c.ID, m.only)
	plan, err := c.survey(ctx, std, m, survey, !run.Reading.Quick && (fresh || run.Faulty > 0))
	if err != nil && ctx.Err() != nil {
		return run, nil, cli.ErrInterrupted
	}
	if err != nil {
		return run, nil, c.unreadable(err)
	}
	notes := c.Trail(ctx, desk.queue, c.NATS.Prefix, schemas.BackfillRun, map[string]string{"lines": strconv.FormatInt(plan.Lines, 10)})
	target := schemas.Target{Run: c.ID}
	if !fresh {
		if err := m.same(run, plan); err != nil {
			return run, survey, cli.Usage(fmt.Errorf("%w\nnothing was sent: take what the run began with, or another --id", err))
		}
		return run, survey, notes.Do(ctx, target, func() (string, error) { return "taken up again", nil })
	}
	if err := printWarnings(std.Err, plan.Warnings); err != nil {
		return run, nil, err
	}
	if err := c.accept(std, plan); err != nil {
		return run, nil, err
	}
	run.Manifest, run.Template, run.Only, run.Reading = plan.Manifest, m.template, m.onlySource, m.reading
	run.Reading.Quick = c.Quick
	run.Lines, run.Faulty, run.LastLine = plan.Lines, plan.Faulty, survey.LastLine()
	return run, survey, notes.Do(ctx, target, func() (string, error) {
		err := backfill.CreateRun(ctx, desk.runs, run)
		if errors.Is(err, backfill.ErrChanged) {
			err = fmt.Errorf("the run %s was started by somebody else at the same moment; run the command again", c.ID)
		}
		return "started", err
	})
}

// survey is a plan without an estimate. What was checked at the start need not be
// checked against the rules of its message again.
func (c *runCmd) survey(ctx context.Context, std cli.Streams, m *storedManifest, survey *backfill.Survey, whole bool) (*planning.Plan, error) {
	m.whole = whole
	opened, err := m.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	progress := &planning.Progress{}
	defer showProgress(std, progress, false)()
	return planning.Make(ctx, opened.Reader, opened.Recipe, planning.Options{
		Goroutines: runtime.GOMAXPROCS(0), Start: m.run, Faults: 20, Salt: []byte(rand.Text()), Progress: progress, Survey: survey,
		EmbedLimit: 1, FileLimit: 1 << 62, Admit: c.Admit.admit(c.S3.Buckets),
	})
}

// accept refuses to start where lines are faulty. What --skip-faulty leaves out is
// a line that is no job; it is not known which of two jobs with one id is meant.
func (c *runCmd) accept(std cli.Streams, plan *planning.Plan) error {
	if plan.Lines == 0 {
		return cli.Usage(errors.New("there is no line to deliver; nothing was sent"))
	}
	hard := plan.Codes[backfill.CodeRepeat] + plan.Codes[backfill.CodeOtherJob]
	if plan.Faulty == 0 || c.SkipFaulty && hard == 0 {
		return nil
	}
	if err := printPlanFaults(std.Err, plan); err != nil {
		return err
	}
	advice := "fix them, or leave them out with --skip-faulty"
	if hard > 0 {
		advice = "no two lines may have the same id, and a report must be of the same manifest and template"
	}
	return cli.Usage(fmt.Errorf("%d of %d lines are faulty; nothing was sent: %s", plan.Faulty, plan.Lines, advice))
}

package backfill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // a container may have no time zones

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/report"
	"github.com/chartpost/chartpost/internal/backfill/window"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

type runCmd struct {
	manifestFlags `embed:"" group:"Manifest"`

	ID          string        `name:"id" placeholder:"NAME" help:"Name of the run, 1 to 48 letters, digits and hyphens; empty makes one. The name of a run that is there goes on with it." group:"Run" percall:""`
	OnlyFailed  string        `type:"path" placeholder:"REPORT" help:"Only the lines that failed in this report, CSV or NDJSON, of an earlier run of the same manifest." group:"Run" percall:""`
	SkipFaulty  bool          `help:"Start although lines are no jobs; they count as failed." group:"Run" percall:""`
	Quick       bool          `help:"Hold lines to the job's schema alone, not to the rules of its message; what breaks those fails at the worker. Takes less than half the time." group:"Run"`
	Outstanding int64         `default:"10000" help:"Most jobs of the run that are published and have not ended." group:"Run"`
	PerLane     int64         `default:"500" help:"Most such jobs of one destination." group:"Run"`
	FeederLease time.Duration `default:"15s" help:"How long another feeder waits for a sign of this one before it takes the run over." group:"Run"`
	Failures    string        `name:"stop-after-failures" default:"10%" placeholder:"10%" help:"Pause the run after so many failed jobs: a number, a percentage of those that have ended (from 100 on), or none." group:"Run"`
	Pilot       int64         `placeholder:"N" help:"Publish N jobs, then pause the run for a look; backfill resume goes on." group:"Run" percall:""`
	SendWindow  string        `placeholder:"TIMES" help:"When jobs are published, like \"Mon-Fri 19:00-06:00, Sat-Sun\"; empty is always. Give it again when the run goes on." group:"Run"`
	TimeZone    string        `placeholder:"NAME" help:"Zone of --send-window, like America/Chicago; empty is that of this machine." group:"Run"`
	Follow      bool          `default:"true" negatable:"" help:"Stay until every job has ended. With --no-follow the command ends when every job is published." group:"Run"`

	cli.AuditFlags `embed:""`

	Message app.Message `embed:"" group:"Message"`
	Budget  app.Budget  `embed:"" prefix:"budget-" group:"Budget to show; the workers' settings"`
	HTTP    app.HTTP    `embed:"" group:"HTTP"`
	NATS    app.NATS    `embed:"" group:"NATS"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`

	failures backfill.FailureLimit
	window   backfill.Window
}

// Help adds to the command's --help.
func (runCmd) Help() string {
	return `Examples:

  chartpost backfill run archive.csv --template template.yaml --id y2019
  chartpost backfill run archive.csv --template template.yaml --id y2019 \
      --pilot 10
  chartpost backfill resume y2019
  chartpost backfill run archive.csv --template template.yaml --id y2019 \
      --send-window "Mon-Fri 19:00-06:00, Sat-Sun" --time-zone America/Chicago
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
	faults := []error{c.manifestFlags.check(), c.Complete(false), c.Message.Check(), c.Budget.Check(), c.HTTP.Check(), c.NATS.Check(), c.S3.Check()}
	if c.ID != "" {
		if err := backfill.CheckRunID(c.ID); err != nil {
			faults = append(faults, fmt.Errorf("--id: %w", err))
		}
	}
	for _, one := range []struct {
		flag  string
		value int64
	}{{"outstanding", c.Outstanding}, {"per-lane", c.PerLane}} {
		if one.value < 1 {
			faults = append(faults, fmt.Errorf("--%s (%s) must be at least 1", one.flag, app.EnvironmentName(one.flag)))
		}
	}
	var err error
	if c.failures, err = backfill.ParseFailureLimit(c.Failures); err != nil {
		faults = append(faults, fmt.Errorf("--stop-after-failures (%s): %w", app.EnvironmentName("stop-after-failures"), err))
	}
	if err := c.parseWindow(); err != nil {
		faults = append(faults, err)
	}
	if c.Pilot < 0 {
		faults = append(faults, errors.New("--pilot: must not be negative"))
	}
	if c.FeederLease < time.Second {
		faults = append(faults, fmt.Errorf("--feeder-lease (%s) must be at least 1s", app.EnvironmentName("feeder-lease")))
	}
	return errors.Join(faults...)
}

// parseWindow reads --send-window.
func (c *runCmd) parseWindow() error {
	if c.SendWindow == "" {
		if c.TimeZone != "" {
			return errors.New("--time-zone: does nothing without --send-window")
		}
		return nil
	}
	zone := time.Local
	if c.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(c.TimeZone); err != nil {
			return fmt.Errorf("--time-zone (%s): is no time zone; it must be a name like America/Chicago", app.EnvironmentName("time-zone"))
		}
	}
	parsed, err := window.Parse(c.SendWindow, zone)
	if err != nil {
		return fmt.Errorf("--send-window (%s): %w", app.EnvironmentName("send-window"), err)
	}
	c.window = parsed
	return nil
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
	if c.ID == "" {
		c.ID = time.Now().UTC().Format("bf-20060102-150405-") + strings.ToLower(rand.Text()[:4])
	}
	if _, err := fmt.Fprintln(std.Out, c.ID); err != nil {
		return err
	}
	m, err := c.manifestFlags.stored(ctx, c.S3, c.Message)
	if err != nil {
		return err
	}
	defer m.Close()
	run, survey, err := c.begin(ctx, std, desk, m)
	if err != nil {
		return err
	}
	return c.feed(ctx, std, desk, m, run, survey, globals.Logger(std))
}

// begin looks at the whole manifest, and makes the run or finds it as it was.
func (c *runCmd) begin(ctx context.Context, std cli.Streams, desk *desk, m *storedManifest) (backfill.Run, *backfill.Survey, error) {
	run, _, err := backfill.LoadRun(ctx, desk.runs, c.ID)
	fresh := errors.Is(err, backfill.ErrNoRun)
	if err != nil && !fresh {
		return run, nil, err
	}
	if fresh {
		run = backfill.Run{ID: c.ID, StartedAt: time.Now().UTC().Truncate(time.Second), Quick: c.Quick, State: backfill.Running, By: c.Operator, Changed: time.Now().UTC()}
	}
	m.run = run.StartedAt
	if c.OnlyFailed != "" {
		if m.only, m.onlySource, err = report.Failed(c.OnlyFailed); err != nil {
			return run, nil, cli.Usage(fmt.Errorf("--only-failed: %w", cli.Cause(err)))
		}
	}
	survey := backfill.NewSurvey(c.ID, m.only)
	plan, err := c.survey(ctx, std, m, survey, !run.Quick && (fresh || run.Faulty > 0))
	if err != nil && ctx.Err() != nil {
		return run, nil, cli.ErrInterrupted
	}
	if err != nil {
		return run, nil, c.unreadable(err)
	}
	notes := c.Trail(ctx, desk.queue, c.NATS.Prefix, schemas.BackfillRun, map[string]string{"lines": strconv.FormatInt(plan.Lines, 10)})
	target := schemas.Target{Run: c.ID}
	if !fresh {
		if err := m.same(run, plan, ", and nothing was sent; take what the run began with, or another --id"); err != nil {
			return run, survey, cli.Usage(err)
		}
		return run, survey, notes.Do(ctx, target, func() (string, error) { return "taken up again", nil })
	}
	if err := c.accept(std, plan); err != nil {
		return run, nil, err
	}
	run.Manifest, run.Template, run.Only, run.Settings = plan.Manifest, m.template, m.onlySource, m.settings()
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
func (c *runCmd) survey(ctx context.Context, std cli.Streams, m *storedManifest, survey *backfill.Survey, whole bool) (*backfill.Plan, error) {
	m.whole = whole
	opened, err := m.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	progress := &backfill.Progress{}
	defer showProgress(std, progress, false)()
	return backfill.Make(ctx, opened.Reader, opened.Recipe, backfill.Options{
		Goroutines: runtime.GOMAXPROCS(0), Start: m.run, Faults: 20, Salt: []byte(rand.Text()), Progress: progress, Survey: survey,
		EmbedLimit: 1, FileLimit: 1 << 62,
	})
}

// accept refuses to start where lines are faulty. What --skip-faulty leaves out is
// a line that is no job; which of two jobs with one id is meant, nobody knows.
func (c *runCmd) accept(std cli.Streams, plan *backfill.Plan) error {
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
	advice := "mend them, or leave them out with --skip-faulty"
	if hard > 0 {
		advice = "no two lines may have the same id, and a report must be of the same manifest and template"
	}
	return cli.Usage(fmt.Errorf("%d of %d lines are faulty; nothing was sent: %s", plan.Faulty, plan.Lines, advice))
}

func (c *runCmd) feed(ctx context.Context, std cli.Streams, desk *desk, m *storedManifest, run backfill.Run, survey *backfill.Survey, log *slog.Logger) error {
	m.whole = false
	host, _ := os.Hostname()
	feeder := &backfill.Feeder{
		Ports:  backfill.Ports{Bucket: desk.runs, Queue: desk.queue.RunJobs(), Ledger: desk.queue.RunLedger(), Events: desk.queue.RunEvents()},
		Limits: backfill.Limits{Outstanding: c.Outstanding, PerLane: c.PerLane, Lease: c.FeederLease, Failures: c.failures, Pilot: c.Pilot, Window: c.window},
		Run:    run, Survey: survey, Open: m.Open,
		Name: fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strings.ToLower(rand.Text()[:6])),
		Say:  func(text string) { fmt.Fprintln(std.Err, "chartpost:", text) },
	}
	if run.State != backfill.Running {
		feeder.Say(fmt.Sprintf("the run is %s, by %s", run.State, run.By))
	}
	var book atomic.Pointer[backfill.Book]
	tally := func() backfill.Tally {
		if b := book.Load(); b != nil {
			return b.Tally(feeder.Current())
		}
		return backfill.Tally{Lines: run.Lines, Unfed: run.Lines}
	}
	done, err := app.ServeRun(ctx, c.HTTP, func() app.RunProgress { return progressOf(c.ID, tally()) }, desk.queue.Troubles, log)
	if err != nil {
		return err
	}
	defer done()
	stop := func() {}
	err = feeder.Feed(ctx, c.Follow, func(b *backfill.Book) {
		book.Store(b)
		stop = showTally(ctx, std, tally, desk.queue.Troubles, func(ctx context.Context) (app.Spending, bool, error) {
			return c.Budget.Look(ctx, desk.queue)
		})
	})
	stop()
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("stopped; jobs in the queue go on by themselves. To go on feeding, run the same command with --id %s", c.ID)
	case errors.Is(err, backfill.ErrOverdue):
		return c.hidePath(err)
	case err != nil:
		return fmt.Errorf("%w\nthe run %s can go on: run the same command with --id %s", c.hidePath(err), c.ID, c.ID)
	}
	return printEnd(std, c.ID, tally(), c.Follow, c.Template != "")
}

// progressOf is a tally as metrics have it.
func progressOf(name string, t backfill.Tally) app.RunProgress {
	p := app.RunProgress{Name: name, Lines: t.Lines, InFlight: t.InFlight, Unfed: t.Unfed, Outcomes: map[string]int64{}}
	for _, outcome := range backfill.Outcomes() {
		if outcome != backfill.OutcomePending {
			p.Outcomes[string(outcome)] = t.Counts[outcome]
		}
	}
	return p
}

// desk is where the commands for runs find them.
type desk struct {
	queue *natsq.Conn
	runs  *natsq.Runs
}

func (d *desk) Close() error { return d.queue.Close() }

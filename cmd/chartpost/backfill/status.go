package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/status"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

type statusCmd struct {
	Name string   `arg:"" optional:"" help:"Name of the run; without it, all runs."`
	JSON bool     `name:"json" help:"Print JSON, one run a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (statusCmd) Help() string {
	return "The numbers come from the run's book and from the events since it was written, whether or not a feeder is there. In the list a run of which every line has ended shows the numbers of its end. Of unknown jobs it is not known whether Redox has them. The pace is that of the last minute, as the feeder measured it; the time to go is at that pace."
}

func (c *statusCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check()}
	if c.Name != "" {
		faults = append(faults, checkRunName(c.Name))
	}
	return errors.Join(faults...)
}

func checkRunName(name string) error {
	if err := backfill.CheckRunID(name); err != nil {
		return fmt.Errorf("<name>: %w", err)
	}
	return nil
}

func (c *statusCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	desk, err := openDesk(ctx, c.NATS, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	if c.Name != "" {
		one, err := status.Read(ctx, desk.runs, desk.queue.RunEvents(), c.Name, true)
		if err != nil {
			return fmt.Errorf("run %s: %w", c.Name, err)
		}
		return c.print(std, []status.Status{one})
	}
	keys, err := desk.runs.Keys(ctx, backfill.RunPrefix+"*")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	var all []status.Status
	for _, key := range keys {
		one, err := status.Read(ctx, desk.runs, desk.queue.RunEvents(), strings.TrimPrefix(key, backfill.RunPrefix), false)
		if errors.Is(err, backfill.ErrForgotten) {
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	return c.print(std, all)
}

func (c *statusCmd) print(std cli.Streams, all []status.Status) error {
	if c.JSON {
		for _, one := range all {
			text, err := versioned.Encode(one)
			if err == nil {
				_, err = std.Out.Write(append(text, '\n'))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]string
	for _, s := range all {
		row := []string{s.ID, cli.When(s.StartedAt), s.Word()}
		n := s.Progress.Counts
		for _, count := range []int64{
			s.Progress.Lines, n[backfill.OutcomeAccepted], n[backfill.OutcomeDuplicate], n[backfill.OutcomeFailed], n[backfill.OutcomeUnknown],
			n[backfill.OutcomeCancelled], s.Progress.InFlight, s.Progress.Unfed,
		} {
			row = append(row, strconv.FormatInt(count, 10))
		}
		pace, left := s.Pace(time.Now())
		rows = append(rows, append(row, pace, left, s.FeederWord(time.Now())))
	}
	return show.Table(std.Out, []string{"RUN", "STARTED", "STATE", "LINES", "ACCEPTED", "DUPLICATE", "FAILED", "UNKNOWN", "CANCELLED", "IN FLIGHT", "NOT FED", "PACE", "TO GO", "FEEDER"}, rows)
}

// printEnd tells how a run has ended.
func printEnd(std cli.Streams, name string, t backfill.Tally, followed bool) error {
	if _, err := fmt.Fprintln(std.Out, t); err != nil {
		return err
	}
	if !followed && t.InFlight > 0 || t.Good() {
		return nil
	}
	return cli.Exit(cli.ExitNotAccepted, fmt.Errorf("%d of %d lines were not accepted; `chartpost backfill report %s` says which and why",
		t.Lines-t.Counts[backfill.OutcomeAccepted]-t.Counts[backfill.OutcomeDuplicate], t.Lines, name))
}

// runTarget is the run of a command that changes what is wanted of it.
type runTarget struct {
	Name           string `arg:"" help:"Name of the run."`
	cli.AuditFlags `embed:""`
	NATS           app.NATS `embed:"" group:"NATS"`
}

func (c *runTarget) Check(*kong.Context) error { return c.checked(false) }

func (c *runTarget) checked(needReason bool) error {
	return errors.Join(checkRunName(c.Name), c.NATS.Check(), c.Complete(needReason))
}

// act does what is audited with the run.
func (c *runTarget) act(ctx context.Context, desk *desk, action schemas.Action, do func() (string, error)) error {
	return c.Trail(ctx, desk.queue, c.NATS.Prefix, action, nil).Do(ctx, schemas.Target{Run: c.Name}, do)
}

// wish is what an operator wants of a run.
type wish struct {
	action schemas.Action
	state  backfill.State
	said   string
	// then, unless nil, is what follows from it: also where an earlier command was
	// cut off in between.
	then func(*desk) error
}

// set writes down what is wanted, and does what follows from it.
func (c *runTarget) set(ctx context.Context, std cli.Streams, globals *cli.Globals, w wish) error {
	desk, err := openDesk(ctx, c.NATS, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	return c.act(ctx, desk, w.action, func() (string, error) {
		was, err := backfill.SetState(ctx, desk.runs, c.Name, w.state, c.Operator, time.Now())
		if err == nil && w.then != nil {
			err = w.then(desk)
		}
		if err != nil {
			return "", fmt.Errorf("run %s: %w", c.Name, err)
		}
		if was == w.state {
			w.said = "was " + string(w.state) + " already"
		}
		_, err = io.WriteString(std.Out, c.Name+": "+w.said+"\n")
		return w.said, err
	})
}

type pauseCmd struct {
	runTarget `embed:""`
}

// Help adds to the command's --help.
func (pauseCmd) Help() string {
	return "The feeder stops within seconds. Jobs that are in the queue go on: at most --outstanding of them. To hold those too, pause their lanes."
}

func (c *pauseCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	return c.set(ctx, std, globals, wish{action: schemas.BackfillPause, state: backfill.Paused, said: "paused; jobs in the queue go on"})
}

type resumeCmd struct {
	runTarget `embed:""`
}

// Help adds to the command's --help.
func (resumeCmd) Help() string {
	return "A feeder that waits goes on within seconds. Where there is none, run the run again with its --id."
}

func (c *resumeCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	return c.set(ctx, std, globals, wish{action: schemas.BackfillResume, state: backfill.Running, said: "resumed"})
}

type forgetCmd struct {
	runTarget   `embed:""`
	cli.YesFlag `embed:""`
}

func (c *forgetCmd) Check(*kong.Context) error { return c.checked(true) }

// Help adds to the command's --help.
func (forgetCmd) Help() string {
	return `Example:

  chartpost backfill forget y2019 --reason "the report is filed"

It removes the run's book from NATS, a byte a line; without it there is no report: write that first. The documents, the events and the ledger stay as they are, and so does the run's name, which no other run can have. A run with jobs in flight, lines not fed or a feeder is refused. It wants a --reason, and asks; elsewhere than on a terminal it needs --yes.`
}

func (c *forgetCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	desk, err := openDesk(ctx, c.NATS, globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	if err := c.Confirm(ctx, std, fmt.Sprintf("Remove the book of run %s for good?", c.Name)); err != nil {
		return err
	}
	return c.act(ctx, desk, schemas.BackfillForget, func() (string, error) {
		if err := backfill.Forget(ctx, desk.runs, desk.queue.RunEvents(), c.Name, c.Operator, time.Now()); err != nil {
			return "", fmt.Errorf("run %s: %w", c.Name, err)
		}
		_, err := io.WriteString(std.Out, c.Name+": forgotten\n")
		return "forgotten", err
	})
}

type cancelCmd struct {
	runTarget   `embed:""`
	cli.YesFlag `embed:""`
}

func (c *cancelCmd) Check(*kong.Context) error { return c.checked(true) }

// Help adds to the command's --help.
func (cancelCmd) Help() string {
	return `Example:

  chartpost backfill cancel y2019 --reason "the wrong archive"

It wants a --reason, and asks; elsewhere than on a terminal it needs --yes. It is final. Lines whose jobs were not published are cancelled. So is every job in the queue or waiting for another attempt, as soon as a worker takes it: its message is not sent, and it is no dead letter. A message that was on its way already ends as it ends; a job of which it is not known whether Redox has it ends as unknown.

Workers hear of it at once. Jobs in a paused lane end when the lane goes on.`
}

func (c *cancelCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	if err := c.Confirm(ctx, std, fmt.Sprintf("Cancel run %s? This is final.", c.Name)); err != nil {
		return err
	}
	return c.set(ctx, std, globals, wish{
		action: schemas.BackfillCancel, state: backfill.Cancelled, said: "cancelled; its jobs in the queue end when a worker takes them",
		then: func(d *desk) error {
			_, err := d.queue.RunJobs().Recall(ctx, c.Name)
			return err
		},
	})
}

// Package lane has the commands for lanes.
package lane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Cmd are the commands for lanes; docs/operating.md tells how to use them.
type Cmd struct {
	Ls     lsCmd     `cmd:"" help:"List the lanes, what waits in them, and what holds them."`
	Pause  pauseCmd  `cmd:"" help:"Hold a lane's jobs back for a while."`
	Resume resumeCmd `cmd:"" help:"End a pause and close the breaker."`
	Budget budgetCmd `cmd:"" help:"Show how much of Redox's request limit is used."`
	Limit  limitCmd  `cmd:"" help:"Set how many jobs of a lane all workers together have in hand."`
}

// target names the lanes that a command is about.
type target struct {
	Class       string `arg:"" enum:"live,backfill,both" help:"live, backfill or both."`
	Destination string `arg:"" help:"Slug or id of the destination, as jobs have it."`
}

func (t target) check() error {
	if !schemas.ValidAddress(t.Destination) {
		return errors.New("<destination>: must be a slug or id as jobs have it: 1 to 128 of letters, digits and . _ ~ -")
	}
	return nil
}

func (t target) lanes() []schemas.Lane {
	if t.Class == "both" {
		return []schemas.Lane{{Class: schemas.Live, Destination: t.Destination}, {Class: schemas.Backfill, Destination: t.Destination}}
	}
	return []schemas.Lane{{Class: schemas.Class(t.Class), Destination: t.Destination}}
}

// anyTarget names lanes, or all of them.
type anyTarget struct {
	Class       string `arg:"" optional:"" enum:",live,backfill,both" default:"" help:"live, backfill or both."`
	Destination string `arg:"" optional:"" help:"Slug or id of the destination, as jobs have it."`

	All bool `help:"All lanes, those of destinations that have no job yet included." group:"Lane" percall:""`
}

func (t anyTarget) check() error {
	switch {
	case t.All && t.Class+t.Destination != "":
		return errors.New("--all: goes with no class and no destination")
	case t.All:
		return nil
	case t.Class == "" || t.Destination == "":
		return errors.New("<class> <destination>: name a lane, or give --all")
	}
	return t.named().check()
}

func (t anyTarget) named() target { return target{t.Class, t.Destination} }

// of is the change of the lanes that are named.
func (t anyTarget) of(e edit) edit {
	e.target, e.all = t.named(), t.All
	if t.All {
		e.parameters = maps.Clone(e.parameters)
		if e.parameters == nil {
			e.parameters = map[string]string{}
		}
		e.parameters["all"] = "true"
	}
	return e
}

// edit is one change of lanes by an operator.
type edit struct {
	target
	// all: the change is of all lanes, and target names none.
	all        bool
	nats       app.NATS
	json       bool
	audit      cli.AuditFlags
	action     schemas.Action
	parameters map[string]string
	// edit changes a state; said tells what that did, where it stands.
	edit func(state *worker.LaneState)
	said func(before worker.LaneState) string
}

func (e edit) run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(e.nats, "lane", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	control, err := queue.Control(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if e.all {
		notes := e.audit.Trail(ctx, queue, e.nats.Prefix, e.action, e.parameters)
		return notes.Do(ctx, schemas.Target{}, func() (string, error) { return e.one(ctx, std, control, natsq.AllLanes()) })
	}
	if err := e.noteUnknown(ctx, std, control); err != nil {
		return err
	}
	notes := e.audit.Trail(ctx, queue, e.nats.Prefix, e.action, e.parameters)
	for _, lane := range e.lanes() {
		target := schemas.Target{Class: lane.Class, Destination: lane.Destination}
		err := notes.Do(ctx, target, func() (string, error) { return e.one(ctx, std, control, lane) })
		if err != nil {
			return err
		}
	}
	return e.noteAllPaused(ctx, std, control)
}

// noteAllPaused says that a lane that was resumed stands still with all others, where that
// is so.
func (e edit) noteAllPaused(ctx context.Context, std cli.Streams, control *natsq.Control) error {
	if e.action != schemas.LaneResume {
		return nil
	}
	all, err := control.PausedAll(ctx, time.Now())
	if err != nil || all == nil {
		return err
	}
	fmt.Fprintln(std.Err, allPaused(all)+"; `chartpost lane resume --all` ends that")
	return nil
}

// noteUnknown says that nothing is known of the destination, where that is so: its name
// may be misspelled.
func (e edit) noteUnknown(ctx context.Context, std cli.Streams, control *natsq.Control) error {
	reports, err := control.Report(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	known := slices.ContainsFunc(reports, func(r natsq.LaneReport) bool { return r.State.Lane.Destination == e.Destination })
	if !known {
		fmt.Fprintf(std.Err, "note: no lane of %s holds a job or has a state now; `chartpost lane ls` shows the names that do\n", e.Destination)
	}
	return nil
}

// one edits one lane, tells of it, and says for the audit what was done.
func (e edit) one(ctx context.Context, std cli.Streams, control *natsq.Control, lane schemas.Lane) (string, error) {
	name := string(lane.Class) + " " + lane.Destination
	if e.all {
		name = "all lanes"
	}
	before, err := control.Edit(ctx, lane, e.edit)
	if err != nil {
		return "", fmt.Errorf("%s: %w\nwhat was done is not known for certain; the command can be repeated", name, err)
	}
	said := e.said(before)
	switch {
	case e.json && e.all:
		return said, cli.JSONLines(std.Out).Encode(done{Class: "all", Did: said})
	case e.json:
		return said, cli.JSONLines(std.Out).Encode(done{lane.Class, lane.Destination, said})
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s\n", name, said)
	return said, err
}

// done is what was done with a lane, in JSON.
type done struct {
	Class       schemas.Class `json:"class"`
	Destination string        `json:"destination,omitempty"`
	Did         string        `json:"did"`
}

type pauseCmd struct {
	anyTarget `embed:""`

	For   time.Duration `placeholder:"TIME" help:"How long, like 30m or 2h." group:"Lane" percall:""`
	Until string        `placeholder:"TIME" help:"Until when, like 2026-11-20T18:00:00Z." group:"Lane" percall:""`

	cli.AuditFlags `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one lane a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`

	until time.Time
}

// Help adds to the command's --help.
func (pauseCmd) Help() string {
	return `Examples:

  chartpost lane pause both good-health --for 2h --reason "their maintenance"
  chartpost lane pause backfill good-health --until 2026-11-21T06:00:00Z \
      --reason "not during the day" --operator ann
  chartpost lane pause --all --for 4h --reason "maintenance at Redox"

--all holds every lane, also those that get their first job meanwhile. It stands beside the pauses of single lanes. The lane's jobs wait; those in hand are finished. The pause ends by itself. A job's expires_at goes on meanwhile. A pause that is there is replaced. --reason is required.`
}

func (c *pauseCmd) Check(*kong.Context) error {
	return errors.Join(c.anyTarget.check(), c.NATS.Check(), c.time(time.Now()), c.Complete(true))
}

// time makes one time of the two flags.
func (c *pauseCmd) time(now time.Time) error {
	switch {
	case (c.For != 0) == (c.Until != ""):
		return errors.New("--for: give either --for or --until")
	case c.For < 0:
		return errors.New("--for: must be positive")
	case c.For > 0:
		c.until = now.Add(c.For).Truncate(time.Second)
		return nil
	}
	until, err := time.Parse(time.RFC3339, c.Until)
	if err != nil {
		return errors.New("--until: must be a time like 2026-11-20T18:00:00Z or 2026-11-20T18:00:00+01:00")
	}
	if !until.After(now) {
		return errors.New("--until: has passed")
	}
	c.until = until
	return nil
}

func (c *pauseCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	pause := worker.Pause{By: c.Operator, Reason: c.Reason, Since: time.Now().UTC(), Until: c.until.UTC()}
	return c.of(edit{
		nats: c.NATS, json: c.JSON, audit: c.AuditFlags,
		action: schemas.LanePause, parameters: map[string]string{"until": pause.Until.Format(time.RFC3339)},
		edit: func(s *worker.LaneState) { s.Pause = &pause },
		said: func(worker.LaneState) string { return "paused until " + c.until.Local().Format(time.RFC3339) },
	}).run(ctx, std, globals)
}

type resumeCmd struct {
	anyTarget      `embed:""`
	cli.AuditFlags `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one lane a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (resumeCmd) Help() string {
	return `Examples:

  chartpost lane resume live good-health
  chartpost lane resume both good-health --reason "they are back early"
  chartpost lane resume --all

--all ends a pause of all lanes; a pause of a single lane stays. It ends an operator's pause and closes the breaker, and says which of them it found. When the destination is still broken the breaker opens again. A limit stays.`
}

func (c *resumeCmd) Check(*kong.Context) error {
	return errors.Join(c.anyTarget.check(), c.NATS.Check(), c.Complete(false))
}

func (c *resumeCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	return c.of(edit{
		nats: c.NATS, json: c.JSON, audit: c.AuditFlags, action: schemas.LaneResume,
		edit: func(s *worker.LaneState) { s.Pause, s.Breaker = nil, nil },
		said: resumed,
	}).run(ctx, std, globals)
}

// resumed says what a resume has ended.
func resumed(before worker.LaneState) string {
	switch {
	case before.Pause != nil && before.Breaker != nil:
		return fmt.Sprintf("the pause by %s has ended and the breaker (%s) is closed", before.Pause.By, before.Breaker.Reason.Code)
	case before.Pause != nil:
		return fmt.Sprintf("the pause by %s has ended", before.Pause.By)
	case before.Breaker != nil:
		return fmt.Sprintf("the breaker (%s) is closed", before.Breaker.Reason.Code)
	}
	return "was neither paused nor broken"
}

type limitCmd struct {
	target `embed:""`

	N string `arg:"" help:"A number of at least 1, or none: as many as --lane-concurrency of the workers says."`

	cli.AuditFlags `embed:""`

	JSON bool     `name:"json" help:"Print JSON, one lane a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`

	limit int
}

// Help adds to the command's --help.
func (limitCmd) Help() string {
	return `Examples:

  chartpost lane limit both good-health 2 --reason "they asked for it"
  chartpost lane limit both good-health none

It holds for all workers together, at once and until it is ended. Jobs in hand are finished.`
}

func (c *limitCmd) Check(*kong.Context) error {
	faults := []error{c.target.check(), c.NATS.Check(), c.Complete(false)}
	if c.N != "none" {
		var err error
		if c.limit, err = strconv.Atoi(c.N); err != nil || c.limit < 1 || c.limit > mostLimit {
			faults = append(faults, fmt.Errorf("<n>: must be a number from 1 to %d, or none", mostLimit))
		}
	}
	return errors.Join(faults...)
}

// mostLimit is far more than any destination takes at once.
const mostLimit = 10_000

func (c *limitCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	return edit{
		target: c.target, nats: c.NATS, json: c.JSON, audit: c.AuditFlags,
		action: schemas.LaneLimit, parameters: map[string]string{"limit": c.N},
		edit: func(s *worker.LaneState) { s.Limit = c.limit },
		said: func(worker.LaneState) string {
			if c.limit == 0 {
				return "no limit but the workers' --lane-concurrency"
			}
			return fmt.Sprintf("at most %d jobs at once", c.limit)
		},
	}.run(ctx, std, globals)
}

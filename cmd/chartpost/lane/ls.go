package lane

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

type lsCmd struct {
	JSON bool     `name:"json" help:"Print JSON, one lane a line."`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lsCmd) Help() string {
	return `Examples:

  chartpost lane ls
  chartpost lane ls --json

A lane is open, unserved for the reason shown (no worker is alive or takes jobs, it waits for its turn where more lanes hold jobs than --lanes, or the queue refuses it), paused by an operator, broken until the next probe at the time shown, or probing: one worker tries it with one job. Jobs that wait for their next attempt are not in it: they come back by a schedule.`
}

func (c *lsCmd) Check(*kong.Context) error { return c.NATS.Check() }

func (c *lsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	queue, err := cli.Connect(c.NATS, "lane", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	seen, err := overview.LookAtLanes(ctx, queue, time.Now())
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if c.JSON {
		return lanesJSON(std, seen.Lanes)
	}
	var rows []show.Lane
	for _, l := range seen.Lanes {
		rows = append(rows, laneRow(l))
	}
	if err := show.Lanes(std.Out, rows); err != nil {
		return err
	}
	for _, note := range fleetNotes(seen) {
		fmt.Fprintln(std.Err, note)
	}
	return nil
}

// fleetNotes are what concerns all lanes.
func fleetNotes(seen overview.Lanes) (notes []string) {
	if p := seen.Paused; p != nil {
		notes = append(notes, allPaused(p))
	}
	if len(seen.Lanes) == 0 {
		return notes
	}
	if seen.Fleet == nil {
		return append(notes, "note: it is not known which workers are alive: "+seen.NoFleet.Error())
	}
	if len(seen.Fleet.Workers) == 0 {
		return append(notes, "note: no worker is alive; start one with `chartpost worker`")
	}
	for _, w := range seen.Fleet.Workers {
		if w.Gate != nil {
			notes = append(notes, fmt.Sprintf("note: worker %s takes no jobs until %s: %s", show.Clean(w.Name), cli.When(w.Gate.Until), w.Gate.Code))
		}
	}
	return notes
}

// allPaused says who holds all lanes, and until when.
func allPaused(p *worker.Pause) string {
	return show.Clean(fmt.Sprintf("note: all lanes are paused until %s by %s: %s", cli.When(p.Until), p.By, p.Reason))
}

// laneJSON is a lane in JSON.
type laneJSON struct {
	Class       schemas.Class `json:"class"`
	Destination string        `json:"destination"`
	Waiting     uint64        `json:"waiting"`
	InHand      uint64        `json:"in_hand"`
	// Concurrency is what the queue allows; 0 where the lane has no consumer.
	Concurrency int    `json:"concurrency"`
	State       string `json:"state"`
	// Unserved says why no worker can take a job of a lane in that state.
	Unserved string          `json:"unserved,omitempty"`
	Breaker  *worker.Breaker `json:"breaker,omitempty"`
	Pause    *worker.Pause   `json:"pause,omitempty"`
	Limit    int             `json:"limit,omitempty"`
	// Why has every cause why its jobs do not move.
	Why []diagnosis.Cause `json:"why,omitempty"`
}

func lanesJSON(std cli.Streams, all []overview.Lane) error {
	encoder := cli.JSONLines(std.Out)
	for _, l := range all {
		lane := l.State.Lane
		err := encoder.Encode(laneJSON{
			lane.Class, lane.Destination, l.Waiting, l.InHand, l.Concurrency, laneRow(l).State, l.Unserved, l.State.Breaker, l.State.Pause, l.State.Limit, l.Why.Causes,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// laneRow says what holds a lane. What only slows it, or holds some of its jobs, leaves
// it open.
func laneRow(l overview.Lane) show.Lane {
	s := l.State
	row := show.Lane{
		Class: string(s.Lane.Class), Destination: s.Lane.Destination, Waiting: l.Waiting, InHand: l.InHand, State: "open", Limit: s.Limit,
	}
	for _, cause := range l.Why.Causes {
		state, reason := stateWord(cause)
		switch {
		case state == "":
		case row.State == "open":
			row.State, row.Until, row.Reason, row.By = state, cause.Until, reason, cause.By
		case !strings.Contains(row.State, state):
			row.State += ", " + state
			row.Reason += "; " + state + ": " + reason
		}
	}
	return row
}

// stateWord is a cause in the table; empty leaves the lane open.
func stateWord(c diagnosis.Cause) (state, reason string) {
	if c.State == diagnosis.LaterVersion {
		return c.Lane(), "this version cannot read the lane's record; update it"
	}
	return c.Lane(), c.Code
}

package lane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
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

A lane is open, unserved for the reason shown (it waits for its turn where more lanes hold jobs than --lanes, no worker serves it, or the queue refuses it), paused by an operator, broken until the next probe at the time shown, or probing: one worker tries it with one job. Jobs that wait for their next attempt are not in it: they come back by a schedule.`
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
	control, err := queue.Control(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	reports, err := control.Report(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if c.JSON {
		return lanesJSON(std, reports, time.Now())
	}
	var lanes []show.Lane
	for _, r := range reports {
		lanes = append(lanes, laneRow(r, time.Now()))
	}
	return show.Lanes(std.Out, lanes)
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
}

func lanesJSON(std cli.Streams, reports []natsq.LaneReport, now time.Time) error {
	encoder := json.NewEncoder(std.Out)
	encoder.SetEscapeHTML(false)
	for _, r := range reports {
		lane := r.State.Lane
		err := encoder.Encode(laneJSON{lane.Class, lane.Destination, r.Waiting, r.InHand, r.Concurrency, laneRow(r, now).State, r.Unserved, r.State.Breaker, r.State.Pause, r.State.Limit})
		if err != nil {
			return err
		}
	}
	return nil
}

// laneRow says what holds a lane. A pause that is over holds nothing, although
// its record is still there.
func laneRow(r natsq.LaneReport, now time.Time) show.Lane {
	s := r.State
	row := show.Lane{
		Class: string(s.Lane.Class), Destination: s.Lane.Destination, Waiting: r.Waiting, InHand: r.InHand, State: "open", Limit: s.Limit,
	}
	if r.Unserved != "" {
		row.State, row.Reason = "unserved", r.Unserved
	}
	if b := s.Breaker; b != nil {
		row.State, row.Until, row.Reason, row.By = "broken", b.Until, b.Reason.Code, b.Prober
		if b.Prober != "" {
			row.State = "probing"
		}
	}
	if p := s.Pause; p != nil && p.Until.After(now) {
		row.State, row.Until, row.Reason, row.By = "paused", p.Until, p.Reason, p.By
		if b := s.Breaker; b != nil {
			row.State, row.Reason = "paused, broken", p.Reason+"; broken: "+b.Reason.Code
		}
	}
	return row
}

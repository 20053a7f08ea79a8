package lane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
)

type budgetCmd struct {
	JSON   bool       `name:"json" help:"Print JSON." group:"Output"`
	Budget app.Budget `embed:"" prefix:"budget-" group:"Budget, as the workers have it"`
	NATS   app.NATS   `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (budgetCmd) Help() string {
	return `Examples:

  chartpost lane budget
  chartpost lane budget --budget-scope egress-2 --json

All lanes of a scope share it. It is read from what the workers wrote down last, which is a few seconds old, and changes nothing. Give the workers' own settings: under others the record means nothing.`
}

func (c *budgetCmd) Check(*kong.Context) error {
	return errors.Join(c.NATS.Check(), c.Budget.Check())
}

// budgetJSON is the budget in JSON.
type budgetJSON struct {
	Scope string `json:"scope"`
	// Known is false where no worker has spent anything yet, or the budget is off;
	// the rest is 0 then.
	Known         bool    `json:"known"`
	WindowSeconds float64 `json:"window_seconds"`
	Live          int     `json:"live"`
	Backfill      int     `json:"backfill"`
	Out           int     `json:"out"`
	// Assumed requests count, although no sender of them is known.
	Assumed        int     `json:"assumed"`
	AssumedSeconds float64 `json:"assumed_seconds"`
	Effective      int     `json:"effective_limit"`
	Limit          int     `json:"limit"`
	Stated         bool    `json:"limit_stated_by_redox"`
	Reserve        float64 `json:"reserve"`
	Workers        int     `json:"workers"`
	HeldSeconds    float64 `json:"held_seconds"`
	AgeSeconds     float64 `json:"age_seconds"`
}

func (c *budgetCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	if c.Budget.Requests == 0 {
		return c.off(std)
	}
	queue, err := cli.Connect(c.NATS, "lane", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(ctx, cli.QueueTime)
	defer cancel()
	s, known, err := c.Budget.Look(ctx, queue)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if c.JSON {
		return json.NewEncoder(std.Out).Encode(budgetJSON{
			Scope: c.Budget.Scope, Known: known, WindowSeconds: c.Budget.Window.Seconds(), Live: s.Live, Backfill: s.Backfill, Out: s.Out,
			Assumed: s.Assumed, AssumedSeconds: s.AssumedFor.Seconds(),
			Effective: s.Effective, Limit: s.Limit, Stated: s.Stated, Reserve: c.Budget.Reserve, Workers: s.Workers,
			HeldSeconds: s.Held.Seconds(), AgeSeconds: s.Age.Seconds(),
		})
	}
	if !known {
		_, err := fmt.Fprintf(std.Out, "scope %s: no worker has spent anything under these settings\n", c.Budget.Scope)
		return err
	}
	return c.print(std, s)
}

// off says that there is nothing to look at.
func (c *budgetCmd) off(std cli.Streams) error {
	if c.JSON {
		return json.NewEncoder(std.Out).Encode(budgetJSON{Scope: c.Budget.Scope, WindowSeconds: c.Budget.Window.Seconds(), Reserve: c.Budget.Reserve})
	}
	_, err := fmt.Fprintln(std.Out, "the budget is off: --budget-requests is 0")
	return err
}

func (c *budgetCmd) print(std cli.Streams, s app.Spending) error {
	source := "as set"
	if s.Stated {
		source = "as Redox states it"
	}
	w := show.NewTabs(std.Out)
	fmt.Fprintf(w, "scope\t%s\t%d workers, read %s ago\n", c.Budget.Scope, s.Workers, s.Age.Round(100*time.Millisecond))
	fmt.Fprintf(w, "limit\t%d\trequests in %s, %s\n", s.Limit, c.Budget.Window, source)
	if s.Effective != s.Limit {
		fmt.Fprintf(w, "now\t%d\tafter a refusal\n", s.Effective)
	}
	if s.Held > 0 {
		fmt.Fprintf(w, "held\t%s\tmore without a request: Redox refused one\n", s.Held.Round(time.Second))
	}
	fmt.Fprintf(w, "used\t%d\t%d live, %d backfill, %d that workers hold; %.1f of %.1f a second\n",
		s.Live+s.Backfill+s.Out, s.Live, s.Backfill, s.Out, s.Made, s.Allowed)
	if s.Assumed > 0 {
		fmt.Fprintf(w, "assumed\t%d\tof before the record was made: what was sent then is unknown, so the window is taken to have been full; over in %s\n",
			s.Assumed, s.AssumedFor.Round(time.Second))
	}
	fmt.Fprintf(w, "kept\t%.0f %%\tfor live jobs\n", 100*c.Budget.Reserve)
	return w.Flush()
}

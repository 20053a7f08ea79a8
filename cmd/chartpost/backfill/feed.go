package backfill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
)

func (c *runCmd) feed(ctx context.Context, std cli.Streams, desk *desk, m *storedManifest, run backfill.Run, survey *backfill.Survey) error {
	m.whole = false
	host, _ := os.Hostname()
	limits, err := c.Limits.limits()
	if err != nil {
		return cli.Usage(err)
	}
	feeder := &backfill.Feeder{
		Ports:  backfill.Ports{Bucket: desk.runs, Queue: desk.queue.RunJobs(), Ledger: desk.queue.RunLedger(), Events: desk.queue.RunEvents()},
		Limits: limits,
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
	now := func() app.RunProgress {
		p := progressOf(c.ID, tally())
		p.Paused, p.Shut, p.PerSecond = feeder.Current().State == backfill.Paused, !feeder.Opens().IsZero(), feeder.PerSecond()
		return p
	}
	c.now.Store(&now)
	stop := func() {}
	err = feeder.Feed(ctx, c.Follow, func(b *backfill.Book) {
		book.Store(b)
		stop = showTally(ctx, std, tally, feeder.PerSecond, desk.queue.Troubles, func(ctx context.Context) (app.Spending, bool, error) {
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
	return printEnd(std, c.ID, tally(), c.Follow)
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

package backfill

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
)

// live shows how far a run is.
type live struct {
	tally func() backfill.Tally
	// troubles are what stands between the feeder and the queue.
	troubles func() []natsq.Trouble
	// pace is how many lines end in a second.
	pace func() float64
	// spending is what is known of the request budget; nil is nothing.
	spending atomic.Pointer[app.Spending]
}

// lookEvery is how often the request budget is read.
const lookEvery = 2 * time.Second

// showTally shows how far a run is until the function it gives is called.
func showTally(ctx context.Context, std cli.Streams, tally func() backfill.Tally, pace func() float64, troubles func() []natsq.Trouble, spending func(context.Context) (app.Spending, bool, error)) (stop func()) {
	l := &live{tally: tally, pace: pace, troubles: troubles}
	ctx, cancel := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() { defer close(looked); l.look(ctx, spending) }()
	hide := cli.ShowLine(std, func() string {
		if std.ErrTerminal {
			return fit(l.brief(), terminalWidth())
		}
		return l.full()
	})
	return func() { hide(); cancel(); <-looked }
}

func (l *live) look(ctx context.Context, spending func(context.Context) (app.Spending, bool, error)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		// A budget that cannot be read is not shown: the run does not need it.
		if s, known, err := spending(ctx); err == nil && known {
			l.spending.Store(&s)
		} else {
			l.spending.Store(nil)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// full is a line of a log.
func (l *live) full() string {
	t := l.tally()
	return t.String() + "; " + l.speed(t)
}

// brief leaves out the outcomes that no line has.
func (l *live) brief() string {
	t := l.tally()
	text := fmt.Sprintf("%d of %d done", t.Ended(), t.Lines)
	begin := ": "
	for _, outcome := range backfill.Outcomes() {
		if n := t.Counts[outcome]; n > 0 && outcome != backfill.OutcomePending {
			text += fmt.Sprintf("%s%d %s", begin, n, outcome)
			begin = ", "
		}
	}
	return text + fmt.Sprintf("; %d in flight; ", t.InFlight) + l.speed(t)
}

// speed tells how fast the run is, how long it will take at that pace, and what it
// and others take of the request budget, and what the queue refuses.
func (l *live) speed(t backfill.Tally) string {
	perSecond := l.pace()
	text := fmt.Sprintf("%.1f/s", perSecond)
	if left := t.Left(perSecond); left > 0 {
		text += ", " + left.String() + " to go"
	}
	if s := l.spending.Load(); s != nil {
		text += fmt.Sprintf("; %.1f of %.1f requests/s", s.Made, s.Allowed)
	}
	for _, t := range l.troubles() {
		text += "; " + t.Text
	}
	return text
}

// terminalWidth is how many columns the terminal of standard error has, 80 where it
// does not say.
func terminalWidth() int {
	if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// fit cuts a text of ASCII to a line: one that a terminal wraps cannot be
// overwritten.
func fit(text string, width int) string {
	if len(text) < width {
		return text
	}
	return strings.TrimRight(text[:max(width-4, 0)], " ,;") + "..."
}

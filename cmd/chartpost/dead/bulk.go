package dead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
)

// bulk does the same with many dead letters, one after the other.
type bulk struct {
	std    cli.Streams
	json   bool
	dryRun bool
	// missing are those that were named and are not there; nothing can be done
	// with them.
	missing []natsq.Letter
	// every is the least time from one letter to the next.
	every time.Duration
	// act does it with the newest letter of a job, or of no job.
	act func(ctx context.Context, s deadletter.Stack) (deadletter.Outcome, error)

	counts  map[string]int
	done    atomic.Int64
	refused int
}

// fewLetters are told of one by one.
const fewLetters = 20

// run goes through the stacks. A refusal concerns its letter alone; any other
// error ends the run.
func (b *bulk) run(ctx context.Context, stacks []deadletter.Stack) error {
	b.counts = map[string]int{}
	asked := len(b.missing) + len(stacks)
	if asked == 0 {
		fmt.Fprintln(b.std.Err, "note: no dead letter matches; nothing was done")
	}
	err := b.none()
	if err == nil {
		err = b.all(ctx, stacks, asked <= fewLetters)
	}
	if told := b.summary(asked); err == nil {
		err = told
	}
	switch {
	case err != nil:
		return b.code(fmt.Errorf("stopped after %d of %d: %w", b.done.Load(), asked, err))
	case b.refused == 0 || b.dryRun:
		return nil
	}
	return b.code(fmt.Errorf("%d of %d were refused", b.refused, asked))
}

// none tells of each that is not there.
func (b *bulk) none() error {
	for _, l := range b.missing {
		if err := b.say(l, "", &deadletter.Refusal{Code: deadletter.ErrNone.Code, Text: "there is no such dead letter"}, true); err != nil {
			return err
		}
	}
	return nil
}

// all keeps to the rate, and shows a person how far it is.
func (b *bulk) all(ctx context.Context, stacks []deadletter.Stack, tell bool) error {
	if b.std.ErrTerminal && len(stacks) > fewLetters {
		defer cli.ShowLine(b.std, func() string { return fmt.Sprintf("%d of %d", b.done.Load(), len(b.missing)+len(stacks)) })()
	}
	next := time.Now()
	for i, s := range stacks {
		if i > 0 {
			next = next.Add(b.every)
			select {
			case <-time.After(time.Until(next)):
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.one(ctx, s, tell); err != nil {
			return err
		}
	}
	return nil
}

// code is exitPartly where something was done and something was not.
func (b *bulk) code(err error) error {
	if !b.dryRun && int(b.done.Load()) > b.refused {
		return cli.Exit(cli.ExitPartly, err)
	}
	return err
}

func (b *bulk) one(ctx context.Context, s deadletter.Stack, tell bool) error {
	outcome, err := b.act(ctx, s)
	refusal, refused := errors.AsType[*deadletter.Refusal](err)
	if err != nil && !refused {
		return err
	}
	return b.say(s.Newest, outcome, refusal, tell)
}

// say counts what became of a letter, and tells of it; refusal is nil where it was
// done.
func (b *bulk) say(l natsq.Letter, outcome deadletter.Outcome, refusal *deadletter.Refusal, tell bool) error {
	b.done.Add(1)
	line := doneJSON{Sequence: l.Sequence, JobID: l.Name(), Outcome: outcome, DryRun: b.dryRun}
	text := said[outcome]
	if b.dryRun {
		text = wouldBe(outcome)
	}
	if refusal != nil {
		b.refused++
		line.Refused, line.Text, text = refusal.Code, refusal.Text, refusal.Text
	}
	b.counts[text]++
	if b.json {
		return cli.JSONLines(b.std.Out).Encode(line)
	}
	if !tell {
		return nil
	}
	_, err := fmt.Fprintf(b.std.Out, "%s: %s\n", nameOf(l), text)
	return err
}

// nameOf is a letter's job, or the letter's own number where it has none.
func nameOf(l natsq.Letter) string {
	return cmp.Or(l.Name(), "--sequence "+strconv.FormatUint(l.Sequence, 10))
}

// summary counts what came of many.
func (b *bulk) summary(asked int) error {
	if b.json || asked <= fewLetters {
		return nil
	}
	var rows [][]string
	for text, n := range b.counts {
		rows = append(rows, []string{strconv.Itoa(n), text})
	}
	slices.SortFunc(rows, func(x, y []string) int { return strings.Compare(x[1], y[1]) })
	return show.Table(b.std.Out, []string{"JOBS", "OUTCOME"}, rows)
}

// preview shows a person what is about to be touched.
func preview(std cli.Streams, stacks []deadletter.Stack) {
	type group struct{ class, destination, status, code string }
	counts := map[group]int{}
	for _, s := range stacks {
		l := s.Newest
		counts[group{string(l.Lane.Class), l.Lane.Destination, string(l.Status), l.Reason.Code}]++
	}
	var rows [][]string
	for g, n := range counts {
		rows = append(rows, []string{strconv.Itoa(n), g.class, g.destination, g.status, g.code})
	}
	slices.SortFunc(rows, func(x, y []string) int { return slices.Compare(x[1:], y[1:]) })
	show.Table(std.Err, []string{"JOBS", "CLASS", "DESTINATION", "STATUS", "REASON"}, rows)
}

// perSecond reads a rate: 50/s, 3000/m, or 50 for as many a second.
func perSecond(text string) (every time.Duration, err error) {
	number, unit, _ := strings.Cut(text, "/")
	units := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour}
	n, err := strconv.Atoi(number)
	span, ok := units[unit]
	if err != nil || !ok || n < 1 || n > 1_000_000 {
		return 0, errors.New("--rate: must be a rate like 50/s, 600/m or 1000/h")
	}
	return span / time.Duration(n), nil
}

// Package dead has the commands for dead letters.
package dead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Cmd are the commands for dead letters; docs/operating.md tells how to use
// them.
type Cmd struct {
	Ls      lsCmd      `cmd:"" help:"List the dead letters, without their content."`
	Show    showCmd    `cmd:"" help:"Show dead letters of a job; its content only on demand."`
	Replay  replayCmd  `cmd:"" help:"Run the jobs of dead letters again."`
	Resolve resolveCmd `cmd:"" help:"Decide about a job of which it is not known whether Redox has it."`
	Drop    dropCmd    `cmd:"" help:"Remove dead letters, and the jobs in them, for good."`
}

// filter selects dead letters.
type filter struct {
	Destination   string `placeholder:"NAME" help:"Only those of this slug or id." group:"Dead letters" percall:""`
	Class         string `default:"" enum:",live,backfill" placeholder:"CLASS" help:"Only those of this class: live or backfill." group:"Dead letters" percall:""`
	Code          string `placeholder:"CODE" help:"Only those with this code of the reason." group:"Dead letters" percall:""`
	Kind          string `default:"" enum:",permanent,poison,unknown_outcome" placeholder:"KIND" help:"Only those with this kind of the reason: permanent, poison or unknown_outcome." group:"Dead letters" percall:""`
	Status        string `default:"" enum:",failed,unknown,duplicate" placeholder:"STATUS" help:"Only those of jobs that ended so: failed, unknown or duplicate." group:"Dead letters" percall:""`
	AcceptedSince bool   `help:"Only those whose job was accepted since; the ledger is asked for each." group:"Dead letters" percall:""`
	cli.TimeFlags `embed:"" group:"Dead letters"`
}

func (f *filter) check() error { return f.Parse(time.Now()) }

// any reports whether the filter selects less than everything.
func (f *filter) any() bool {
	return f.Destination+f.Class+f.Code+f.Kind+f.Status+f.Since+f.Until != "" || f.AcceptedSince
}

// selection is the filter without what the ledger must be asked for.
func (f *filter) selection() deadletter.Filter {
	return deadletter.Filter{
		Destination: f.Destination, Class: schemas.Class(f.Class), Code: f.Code, Kind: f.Kind, Status: schemas.Status(f.Status), From: f.From, Before: f.Before,
	}
}

// accepted leaves those of letters whose job was accepted since, where only these are
// wanted.
func (f *filter) accepted(ctx context.Context, records deadletter.Finder, letters []natsq.Letter) ([]natsq.Letter, error) {
	if !f.AcceptedSince {
		return letters, nil
	}
	since, err := deadletter.AcceptedSince(ctx, records, letters)
	if err != nil {
		return nil, fmt.Errorf("asking the ledger: %w\n%s", err, cli.AdviceStreams)
	}
	var out []natsq.Letter
	for i, l := range letters {
		if since[i] {
			out = append(out, l)
		}
	}
	return out, nil
}

// target names dead letters: by their jobs, by their sequences, or by what
// they have in common.
type target struct {
	Jobs []string `arg:"" optional:"" name:"job" help:"Jobs: an id, or DESTINATION/ID."`

	Sequence []uint64 `sep:"," placeholder:"N" help:"Those with these sequences, which ls --json shows." group:"Dead letters" percall:""`
	All      bool     `help:"All dead letters." group:"Dead letters" percall:""`
	Limit    int      `default:"0" placeholder:"N" help:"Only the first N, the oldest first; 0 is all." group:"Dead letters" percall:""`
	filter   `embed:""`

	// destinations are those at which find found a job that was named by its id alone.
	destinations map[string]map[string]bool
}

func (t *target) check() error {
	faults := []error{t.filter.check()}
	if t.Limit < 0 {
		faults = append(faults, errors.New("--limit: must not be negative"))
	}
	for _, name := range t.Jobs {
		if _, err := schemas.ParseJobKey(name); err != nil {
			faults = append(faults, cli.ErrJob)
			break
		}
	}
	if named := len(t.Jobs)+len(t.Sequence) > 0; t.All && (named || t.any()) {
		faults = append(faults, errors.New("--all: goes with no job, no --sequence and no filter"))
	} else if !t.All && !named && !t.any() {
		faults = append(faults, errors.New("<job>: name jobs, or give --sequence, a filter such as --code, or --all"))
	}
	return errors.Join(faults...)
}

// find gives the letters that are meant; missing are what was named and is not
// there, as letters that have nothing but that name.
func (t *target) find(ctx context.Context, queue *natsq.Conn) (letters, missing []natsq.Letter, err error) {
	for _, name := range t.Jobs {
		job, _ := schemas.ParseJobKey(name) // check has seen it
		missing = append(missing, natsq.Letter{JobID: job.ID, Lane: schemas.Lane{Destination: job.Destination}})
	}
	for _, n := range t.Sequence {
		missing = append(missing, natsq.Letter{Sequence: n})
	}
	all, selection, limit := len(missing) == 0, t.selection(), t.Limit
	if t.AcceptedSince {
		limit = 0 // it is for what the ledger leaves
	}
	t.destinations = map[string]map[string]bool{}
	err = queue.Letters(ctx, func(l natsq.Letter) bool {
		named := all || slices.ContainsFunc(t.Jobs, func(name string) bool { return cli.NamesJob(name, l.Named()) }) || slices.Contains(t.Sequence, l.Sequence)
		if named && selection.Wants(l) {
			t.note(l)
			if limit == 0 || len(letters) < limit {
				letters = append(letters, l)
			}
			missing = slices.DeleteFunc(missing, func(m natsq.Letter) bool {
				return m.JobID != "" && cli.NamesJob(cli.JobName(m.Job()), l.Named()) || m.Sequence > 0 && m.Sequence == l.Sequence
			})
		}
		return limit == 0 || len(letters) < limit || len(missing)+len(t.Jobs) > 0
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	if len(letters) == 0 && !all {
		return nil, nil, cli.Exit(cli.ExitNothing, errors.New("there is no such dead letter"))
	}
	return letters, missing, nil
}

// accepted leaves those whose job was accepted since, where only these are meant.
func (t *target) accepted(ctx context.Context, records deadletter.Finder, letters []natsq.Letter) ([]natsq.Letter, error) {
	letters, err := t.filter.accepted(ctx, records, letters)
	if t.Limit > 0 && len(letters) > t.Limit {
		letters = letters[:t.Limit]
	}
	return letters, err
}

// note takes in the destination of a letter whose job was named by its id alone.
func (t *target) note(l natsq.Letter) {
	id := l.Name()
	if !slices.Contains(t.Jobs, id) {
		return
	}
	if t.destinations[id] == nil {
		t.destinations[id] = map[string]bool{}
	}
	t.destinations[id][l.Lane.Destination] = true
}

// ambiguous refuses a job that was named by its id alone where several destinations
// have a dead letter of that id.
func (t *target) ambiguous() error {
	for _, id := range t.Jobs {
		if found := t.destinations[id]; len(found) > 1 {
			return fmt.Errorf("job %s: %w", id, deadletter.Ambiguous(id, slices.Sorted(maps.Keys(found))))
		}
	}
	return nil
}

// desk is a desk and its connection.
type desk struct {
	*natsq.Conn
	deadletter.Service
	ledger *ledger.Ledger
}

// open opens what decisions about dead letters need.
func open(ctx context.Context, n app.NATS, operator string, log *slog.Logger) (*desk, error) {
	queue, err := cli.Connect(n, "dead", log)
	if err != nil {
		return nil, err
	}
	bucket, err := queue.Ledger(ctx)
	if err != nil {
		queue.Close()
		return nil, fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	records := ledger.New(bucket, ledger.Patience)
	return &desk{Conn: queue, ledger: records, Service: deadletter.Service{
		Letters: queue, Publisher: queue.Outbox(), Ledger: records, Prefix: n.Prefix, By: "operator " + operator, Now: time.Now,
	}}, nil
}

// targetOf names a dead letter to the audit.
func targetOf(l natsq.Letter) schemas.Target {
	return schemas.Target{Class: l.Lane.Class, Destination: l.Lane.Destination, JobID: l.JobID, DeadLetter: l.Sequence}
}

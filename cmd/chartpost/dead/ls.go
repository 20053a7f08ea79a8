package dead

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/show"
)

type lsCmd struct {
	filter `embed:""`

	List    bool   `help:"List the letters, the newest first." group:"Output" percall:""`
	Summary bool   `help:"Count them by code and destination. This is what is printed without --list and --json." group:"Output" percall:""`
	Limit   int    `default:"50" placeholder:"N" help:"Letters of a --list; 0 is all." group:"Output" percall:""`
	Before  uint64 `placeholder:"N" help:"List only letters with a smaller sequence than this: the next page of a --list." group:"Output" percall:""`

	JSON bool     `name:"json" help:"Print JSON, one dead letter a line, the oldest first; with --list the newest first, with --summary one group a line." group:"Output"`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lsCmd) Help() string {
	return `Examples:

  chartpost dead ls
  chartpost dead ls --list --code file_missing --since 24h
  chartpost dead ls --list --before 17
  chartpost dead ls --destination good-health --class live --json

It counts the dead letters by code and destination. Where there are at most 20 it lists them too. What is in a job is not shown. A letter whose job was accepted since is marked: "dead drop --accepted-since" removes those. --json adds the sequence, which names a dead letter of a job whose id could not be read.`
}

func (c *lsCmd) Check(*kong.Context) error {
	faults := []error{c.NATS.Check(), c.filter.check()}
	if c.Limit < 0 {
		faults = append(faults, errors.New("--limit: must not be negative"))
	}
	if c.List && c.Summary {
		faults = append(faults, errors.New("--summary: give either --list or --summary"))
	}
	return errors.Join(faults...)
}

func (c *lsCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	desk, err := open(ctx, c.NATS, "", globals.Logger(std))
	if err != nil {
		return err
	}
	defer desk.Close()
	listing, err := c.read(ctx, desk)
	if err != nil {
		return err
	}
	switch {
	case c.JSON && c.Summary:
		lines := cli.JSONLines(std.Out)
		for _, group := range listing.Groups() {
			if err := lines.Encode(group); err != nil {
				return err
			}
		}
		return nil
	case c.JSON:
		return c.json(ctx, std, desk, listing.Letters())
	case !c.List:
		if err := show.Table(std.Out, []string{"CODE", "DESTINATION", "COUNT", "OLDEST", "NEWEST"}, groupRows(listing.Groups())); err != nil {
			return err
		}
		if c.Summary || listing.Count > fewLetters {
			return nil
		}
		fmt.Fprintln(std.Out)
	}
	return c.list(ctx, std, desk, listing)
}

// read goes through all letters once.
func (c *lsCmd) read(ctx context.Context, desk *desk) (*deadletter.Listing, error) {
	listing := &deadletter.Listing{Keep: c.keep(), Before: c.Before}
	selection := c.selection()
	var asked []natsq.Letter
	err := desk.Conn.Letters(ctx, func(l natsq.Letter) bool {
		if !selection.Wants(l) {
			return true
		}
		if c.AcceptedSince {
			asked = append(asked, l)
		} else {
			listing.Add(l)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	asked, err = c.accepted(ctx, desk.ledger, asked)
	for _, l := range asked {
		listing.Add(l)
	}
	return listing, err
}

// keep is how many letters are shown one by one.
func (c *lsCmd) keep() int {
	switch {
	case c.List:
		return c.Limit
	case c.JSON && !c.Summary:
		return 0
	}
	return fewLetters
}

// list is a page of letters, the newest first.
func (c *lsCmd) list(ctx context.Context, std cli.Streams, desk *desk, listing *deadletter.Listing) error {
	letters := listing.Letters()
	since, err := deadletter.AcceptedSince(ctx, desk.ledger, letters)
	if err != nil {
		return fmt.Errorf("asking the ledger: %w\n%s", err, cli.AdviceStreams)
	}
	var rows []show.Letter
	for i, l := range letters {
		rows = append(rows, letterRow(l, since[i]))
	}
	if err := show.Letters(std.Out, rows); err != nil {
		return err
	}
	if listing.Older > 0 {
		last := letters[len(letters)-1].Sequence
		fmt.Fprintf(std.Err, "(%d older ones: add --before %d)\n", listing.Older, last)
	}
	return nil
}

// json prints the letters one a line.
func (c *lsCmd) json(ctx context.Context, std cli.Streams, desk *desk, letters []natsq.Letter) error {
	since, err := deadletter.AcceptedSince(ctx, desk.ledger, letters)
	if err != nil {
		return fmt.Errorf("asking the ledger: %w\n%s", err, cli.AdviceStreams)
	}
	lines := cli.JSONLines(std.Out)
	for n := range letters {
		i := n
		if !c.List {
			i = len(letters) - 1 - n
		}
		line := deadletter.Summarize(letters[i])
		line.AcceptedSince = since[i]
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func groupRows(groups []deadletter.Group) (rows [][]string) {
	for _, g := range groups {
		rows = append(rows, []string{g.Code, g.Destination, strconv.Itoa(g.Count), cli.When(g.Oldest), cli.When(g.Newest)})
	}
	return rows
}

func letterRow(l natsq.Letter, accepted bool) show.Letter {
	return show.Letter{
		Buried: l.Buried, Job: l.Name(), Class: string(l.Lane.Class), Destination: l.Lane.Destination, Status: string(l.Status),
		Reason: l.Reason.Code, Path: l.Reason.Path, PossibleDuplicate: l.PossibleDuplicate, AcceptedSince: accepted, Size: l.Size,
	}
}

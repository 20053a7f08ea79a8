package outcome

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/internal/outcome"
	"github.com/chartpost/chartpost/internal/outcome/told"
	"github.com/chartpost/chartpost/internal/show"
	"github.com/chartpost/chartpost/schemas"
)

type lanesCmd struct {
	JSON bool     `name:"json" help:"Print JSON, one lane or destination a line."`
	NATS app.NATS `embed:"" group:"NATS"`
}

// Help adds to the command's --help.
func (lanesCmd) Help() string {
	return `The first table counts events, as long as they are kept (--events-age). The second sums up windows: times in which messages without a log id were counted against Redox's logs, by the destination's id there. Of a window with several messages only the totals are known, never which message met what.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *lanesCmd) Check(*kong.Context) error { return c.NATS.Check() }

// laneCounts is a lane's.
type laneCounts struct {
	Class       schemas.Class             `json:"class"`
	Destination string                    `json:"destination"`
	Waiting     int                       `json:"waiting"`
	Events      map[schemas.Status]uint64 `json:"events"`
}

// windowCounts are the windows of a destination.
type windowCounts struct {
	DestinationID string `json:"destination_id"`
	// Windows whose numbers fit, and Open ones, whose do not.
	Windows int `json:"windows"`
	Open    int `json:"open"`
	Waiting int `json:"waiting"`
	// Jobs are the messages of the windows that fit; the others say what became of them.
	Jobs      int `json:"jobs"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Filtered  int `json:"filtered"`
}

// Run executes the command.
func (c *lanesCmd) Run(ctx context.Context, std cli.Streams, globals *cli.Globals) error {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	queue, err := cli.Connect(c.NATS, "outcome", globals.Logger(std))
	if err != nil {
		return err
	}
	defer queue.Close()
	v, err := told.Read(ctx, queue)
	if err != nil {
		return err
	}
	counts, err := queue.EventCounts(ctx, natsq.EventSelection{Statuses: append(schemas.Outcomes(), schemas.StatusAccepted)})
	if err != nil {
		return err
	}
	lanes, windows := lanesOf(v, counts), windowsOf(v)
	if c.JSON {
		for _, l := range lanes {
			if err := cli.JSONLines(std.Out).Encode(l); err != nil {
				return err
			}
		}
		for _, w := range windows {
			if err := cli.JSONLines(std.Out).Encode(w); err != nil {
				return err
			}
		}
		return nil
	}
	if err := c.print(std.Out, lanes, windows); err != nil {
		return err
	}
	note(std.Err, v, time.Now())
	return nil
}

func lanesOf(v *outcome.View, counts map[schemas.Lane]map[schemas.Status]uint64) []laneCounts {
	waiting := map[schemas.Lane]int{}
	for _, j := range v.Jobs {
		if j.Waits() {
			waiting[schemas.Lane{Class: j.Class, Destination: j.Destination}]++
		}
	}
	var all []laneCounts
	for lane, events := range counts {
		all = append(all, laneCounts{lane.Class, lane.Destination, waiting[lane], events})
	}
	slices.SortFunc(all, func(a, b laneCounts) int {
		return cmp.Or(cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Class, b.Class))
	})
	return all
}

func windowsOf(v *outcome.View) []windowCounts {
	sums := map[string]*windowCounts{}
	for _, w := range v.Windows {
		sum := sums[w.DestinationID]
		if sum == nil {
			sum = &windowCounts{DestinationID: w.DestinationID}
			sums[w.DestinationID] = sum
		}
		switch w.State {
		case outcome.Waiting:
			sum.Waiting++
		case outcome.Totals:
			last := w.Counts[len(w.Counts)-1]
			sum.Windows++
			sum.Jobs += w.Accepted
			sum.Succeeded += last.Succeeded
			sum.Failed += last.Failed
			sum.Filtered += last.Filtered
		case outcome.Bound:
			sum.Windows++
			sum.Jobs++
		default:
			sum.Open++
		}
	}
	var all []windowCounts
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, *sums[id])
	}
	return all
}

func (c *lanesCmd) print(out io.Writer, lanes []laneCounts, windows []windowCounts) error {
	var rows [][]string
	for _, l := range lanes {
		row := []string{string(l.Class), l.Destination, number(l.Events[schemas.StatusAccepted]), strconv.Itoa(l.Waiting)}
		for _, status := range schemas.Outcomes() {
			row = append(row, number(l.Events[status]))
		}
		rows = append(rows, row)
	}
	err := show.Table(out, []string{"CLASS", "DESTINATION", "ACCEPTED", "WAITING", "DELIVERED", "FILTERED", "UNDELIVERED", "STALLED", "UNCONFIRMED"}, rows)
	if err != nil || len(windows) == 0 {
		return err
	}
	rows = nil
	for _, w := range windows {
		rows = append(rows, []string{
			w.DestinationID, strconv.Itoa(w.Windows), strconv.Itoa(w.Open), strconv.Itoa(w.Waiting), strconv.Itoa(w.Jobs),
			strconv.Itoa(w.Succeeded), strconv.Itoa(w.Failed), strconv.Itoa(w.Filtered),
		})
	}
	if _, err := out.Write([]byte("\n")); err != nil {
		return err
	}
	return show.Table(out, []string{"DESTINATION IN LOGS", "WINDOWS", "OPEN", "WAITING", "JOBS", "SUCCEEDED", "FAILED", "FILTERED"}, rows)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

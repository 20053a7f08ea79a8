package top

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/deadletter"
	"github.com/chartpost/chartpost/internal/diagnosis"
	"github.com/chartpost/chartpost/internal/overview"
	"github.com/chartpost/chartpost/internal/show"
)

// most bounds the lines of each table; --json has all.
const most = 15

// write prints an overview for people.
func write(w io.Writer, o overview.Overview) error {
	fmt.Fprintf(w, "%s   %s\n", cli.When(o.At), budgetText(o.Budget))
	if p := o.Paused; p != nil {
		fmt.Fprintf(w, "%s\n", show.Clean(fmt.Sprintf("All lanes are paused until %s by %s: %s", cli.When(p.Until), p.By, p.Reason)))
	}
	for _, part := range []struct {
		title string
		head  []string
		rows  [][]string
	}{
		{workersTitle(o), []string{"WORKER", "VERSION", "SINCE", "SLOTS", "IN HAND", "AWAITING", "STATE", "REASON"}, workerRows(o.Workers)},
		{fmt.Sprintf("Lanes: %d; %d jobs are scheduled for another attempt", len(o.Lanes), o.Scheduled),
			[]string{"CLASS", "DESTINATION", "WAITING", "IN HAND", "OLDEST", "RATE", "EMPTY IN", "STATE", "REASON"}, laneRows(o.Lanes)},
		{fmt.Sprintf("Dead letters: %d", o.DeadLetters), []string{"CODE", "DESTINATION", "COUNT", "OLDEST", "NEWEST"}, deadRows(o.Dead)},
		{fmt.Sprintf("Backfill runs: %d", len(o.Runs)), []string{"RUN", "STATE", "DONE", "LINES", "IN FLIGHT", "NOT FED", "FEEDER"}, runRows(o)},
	} {
		fmt.Fprintf(w, "\n%s\n", part.title)
		if len(part.rows) == 0 {
			continue
		}
		if err := show.Table(w, part.head, part.rows[:min(len(part.rows), most)]); err != nil {
			return err
		}
		if more := len(part.rows) - most; more > 0 {
			fmt.Fprintf(w, "and %d more\n", more)
		}
	}
	return nil
}

func budgetText(b *overview.Budget) string {
	if b == nil {
		return "request budget: not known"
	}
	text := fmt.Sprintf("request budget: %d of %d used, %.1f of %.1f a second", b.Used, b.Limit, b.PerSecond, b.AllowedPerSecond)
	if b.HeldSeconds > 0 {
		text += fmt.Sprintf("; held for %.0fs", b.HeldSeconds)
	}
	return text
}

func workersTitle(o overview.Overview) string {
	if o.NoFleet != "" {
		return "Workers: not known: " + show.Clean(o.NoFleet)
	}
	if len(o.Workers) == 0 {
		return "Workers: none is alive; start one with `chartpost worker`"
	}
	return fmt.Sprintf("Workers: %d", len(o.Workers))
}

func workerRows(workers []diagnosis.Worker) (rows [][]string) {
	for _, w := range workers {
		state, reason := "open", ""
		if w.Gate != nil {
			state, reason = "shut", w.Gate.Text()
		}
		rows = append(rows, []string{
			w.Name, w.Release, cli.When(w.Since), strconv.Itoa(w.Slots), strconv.Itoa(w.InHand), strconv.Itoa(w.AwaitingAnswer), state, reason,
		})
	}
	return rows
}

func laneRows(lanes []overview.LaneLine) (rows [][]string) {
	for _, l := range lanes {
		why := diagnosis.Answer{Causes: l.Why}
		state := "open"
		if i := slices.IndexFunc(l.Why, func(c diagnosis.Cause) bool { return c.Lane() != "" }); i >= 0 {
			state = l.Why[i].Lane()
		}
		rows = append(rows, []string{
			string(l.Class), l.Destination, strconv.FormatUint(l.Waiting, 10), strconv.FormatUint(l.InHand, 10), span(l.OldestSeconds),
			fmt.Sprintf("%d/min", l.PerMinute), span(l.EmptySeconds), state, why.Text(),
		})
	}
	return rows
}

// span is a number of seconds for people; a negative one is not known.
func span(seconds float64) string {
	if seconds < 0 {
		return ""
	}
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

func deadRows(groups []deadletter.Group) (rows [][]string) {
	for _, g := range groups {
		rows = append(rows, []string{g.Code, g.Destination, strconv.Itoa(g.Count), cli.When(g.Oldest), cli.When(g.Newest)})
	}
	return rows
}

func runRows(o overview.Overview) (rows [][]string) {
	for _, r := range o.Runs {
		p := r.Progress
		rows = append(rows, []string{
			r.ID, r.Word(), strconv.FormatInt(p.Ended(), 10), strconv.FormatInt(p.Lines, 10), strconv.FormatInt(p.InFlight, 10), strconv.FormatInt(p.Unfed, 10), r.FeederWord(o.At),
		})
	}
	return rows
}

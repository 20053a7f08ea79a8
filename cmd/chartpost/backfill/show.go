package backfill

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
)

// lanesShown is how many lanes a person is shown; --json has all.
const lanesShown = 20

// printPlan prints a plan for people.
func printPlan(out io.Writer, plan *planning.Plan, lifetime time.Duration) error {
	w := show.NewTabs(out)
	fmt.Fprintf(w, "manifest\t%d bytes\tsha256 %s\n", plan.Manifest.Size, plan.Manifest.SHA256)
	if plan.Template != nil {
		fmt.Fprintf(w, "template\t%d bytes\tsha256 %s\n", plan.Template.Size, plan.Template.SHA256)
	}
	fmt.Fprintf(w, "lines\t%d\t%d jobs, %d faulty\n", plan.Lines, plan.Jobs, plan.Faulty)
	fmt.Fprintf(w, "files\t%d\t%d bytes in the %d jobs whose size is known\n", plan.Sizes.Files, plan.Sizes.Bytes, plan.Sizes.KnownJobs)
	if plan.Listing != nil {
		fmt.Fprintf(w, "listing\t%d\tobjects, %d of them in no line\n", plan.Listing.Objects, plan.Listing.Unnamed)
	}
	fmt.Fprintf(w, "requests\t%d\t%d jobs embed their files and cost one\n", plan.Cost.Requests, plan.Sizes.EmbeddedJobs)
	printTime(w, plan.Cost, lifetime)
	if len(plan.Lanes) > 0 {
		fmt.Fprint(w, "\nDESTINATION\tENVIRONMENT\tOPERATION\tJOBS\tREQUESTS\n")
	}
	for _, lane := range plan.Lanes[:min(len(plan.Lanes), lanesShown)] {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", lane.Destination, lane.Environment, lane.Operation, lane.Jobs, lane.Requests)
	}
	if more := len(plan.Lanes) - lanesShown; more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	printFaults(w, plan)
	if err := w.Flush(); err != nil {
		return err
	}
	return printWarnings(out, plan.Warnings)
}

// printTime prints how long a run takes, and what bounds it.
func printTime(w io.Writer, cost planning.Cost, lifetime time.Duration) {
	took := time.Duration(cost.Seconds) * time.Second
	answer := time.Duration(cost.AnswerSeconds * float64(time.Second))
	switch {
	case cost.Budget == 0 && cost.LaneSeconds == 0:
		fmt.Fprint(w, "time\t-\tthe budget is off: --budget-requests is 0\n")
	case cost.LaneSeconds > cost.BudgetSeconds:
		fmt.Fprintf(w, "time\t%s\tat least: %s alone takes that, %d jobs at a time and %s per answer\n", took, cost.Destination, cost.LaneConcurrency, answer)
	default:
		fmt.Fprintf(w, "time\t%s\tat least, with all %d requests in %s for the backfill\n", took, cost.Budget,
			time.Duration(cost.WindowSeconds*float64(time.Second)))
	}
	if took > lifetime {
		fmt.Fprintf(w, "\t\tlonger than the jobs live: raise --expires-after (%s) or split the manifest\n", lifetime)
	}
}

// printWarnings prints what is unusual and no fault.
func printWarnings(out io.Writer, warnings []planning.Warning) error {
	if len(warnings) == 0 {
		return nil
	}
	w := show.NewTabs(out)
	fmt.Fprint(w, "\nLINES\tFIRST\tPLACE\tWARNING\n")
	for _, one := range warnings {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s: %s\n", one.Lines, one.First, one.Path, one.Code, one.Text)
	}
	return w.Flush()
}

// printPlanFaults prints why a run does not start.
func printPlanFaults(out io.Writer, plan *planning.Plan) error {
	w := show.NewTabs(out)
	printFaults(w, plan)
	return w.Flush()
}

func printFaults(w io.Writer, plan *planning.Plan) {
	if plan.Faulty == 0 {
		return
	}
	fmt.Fprint(w, "\nLINE\tCOLUMN\tPLACE\tFAULT\n")
	for _, f := range plan.Faults {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s: %s\n", f.Line, cmp.Or(f.Column, "-"), cmp.Or(f.Path, "-"), f.Code, f.Text)
	}
	fmt.Fprint(w, "\nFAULT\tCOUNT\n")
	for _, code := range slices.Sorted(maps.Keys(plan.Codes)) {
		fmt.Fprintf(w, "%s\t%d\n", code, plan.Codes[code])
	}
}

// showProgress tells how far p is until the function it gives is called.
func showProgress(std cli.Streams, p *planning.Progress, sizes bool) (stop func()) {
	return cli.ShowLine(std, func() string {
		text := fmt.Sprintf("%d lines, %d faulty", p.Lines.Load(), p.Faulty.Load())
		if sizes {
			text += fmt.Sprintf(", %d with their sizes", p.Sized.Load())
		}
		return text
	})
}

package backfill

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/show"
)

// briefReport is what a run's own records say of it.
type briefReport struct {
	Summary backfill.Summary `json:"summary"`
	// Reasons counts the lines that were not accepted by their reason.
	Reasons map[string]int64 `json:"reasons,omitempty"`
	// NotAccepted are the first such lines.
	NotAccepted []backfill.Row `json:"not_accepted,omitempty"`
}

// brief prints what is known without the manifest. It has no line that was not fed.
func (c *reportCmd) brief(ctx context.Context, std cli.Streams, desk *desk, run backfill.Run) error {
	b := briefReport{Reasons: map[string]int64{}}
	account := desk.account(run)
	tally, err := account.Told(ctx, func(row backfill.Row) error {
		if row.Outcome == backfill.OutcomeAccepted || row.Outcome == backfill.OutcomeDuplicate {
			return nil
		}
		b.Reasons[cmp.Or(row.Reason, "-")]++
		if len(b.NotAccepted) < c.Lines {
			b.NotAccepted = append(b.NotAccepted, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.Summary = summaryOf(run, tally)
	if c.JSON {
		err = json.NewEncoder(std.Out).Encode(b)
	} else {
		err = b.print(std.Out)
	}
	if err != nil {
		return err
	}
	return c.judge(tally)
}

func (b *briefReport) print(out io.Writer) error {
	w := show.NewTabs(out)
	printSummary(w, b.Summary)
	if len(b.Reasons) == 0 {
		return w.Flush()
	}
	fmt.Fprint(w, "\nREASON\tLINES\n")
	var all int64
	for _, code := range slices.Sorted(maps.Keys(b.Reasons)) {
		fmt.Fprintf(w, "%s\t%d\n", code, b.Reasons[code])
		all += b.Reasons[code]
	}
	if len(b.NotAccepted) > 0 {
		fmt.Fprint(w, "\nLINE\tJOB\tOUTCOME\tREASON\n")
	}
	for _, row := range b.NotAccepted {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", row.Line, cmp.Or(row.JobID, "-"), row.Outcome, cmp.Or(row.Reason, "-"))
	}
	if more := all - int64(len(b.NotAccepted)); more > 0 {
		fmt.Fprintf(w, "and %d more: --lines lists more, --out FILE with the manifest and --template all\n", more)
	}
	return w.Flush()
}

package backfill

import "context"

// Told gives a row for every line that the book and the events know of, in their order, and
// the sums of the run. It reads neither the manifest nor the ledger. So it has no rows for
// lines that were not fed, and no job id where no event has told it.
func (a *Account) Told(ctx context.Context, each func(Row) error) (Tally, error) {
	if err := a.open(ctx); err != nil {
		return Tally{}, err
	}
	defer a.details.close()
	for line, state := range a.book.states() {
		if state == Unfed || state == Absent {
			continue
		}
		one := made{row: Row{Line: int64(line)}, state: state}
		if err := a.fill(&one, nil); err != nil {
			return Tally{}, err
		}
		if err := each(one.row); err != nil {
			return Tally{}, err
		}
	}
	return a.book.Tally(a.Run), nil
}

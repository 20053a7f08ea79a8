package backfill

import (
	"context"
	"errors"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// Account says what became of every line of a run.
type Account struct {
	Ports
	Run  Run
	Open func(ctx context.Context) (*Opened, error)
	// Goroutines make jobs; at least 1. Dir is for a temporary file.
	Goroutines int
	Dir        string

	book    *Book
	details *details
}

// ErrUnbalanced is an account whose rows are not the run's lines.
var ErrUnbalanced = errors.New("the account does not add up: the manifest has other lines than the run")

// ErrNotBegun is an account of a run of chosen lines before its feeder has written
// down which they are.
var ErrNotBegun = errors.New("there is no account yet: the run's feeder has not begun, and nothing is written of its lines")

// Write gives a row for every line of the run, in the manifest's order, and the
// sums. An error says that rows are missing.
func (a *Account) Write(ctx context.Context, each func(Row) error) (Tally, error) {
	sum := Tally{Counts: Counts{}}
	if err := a.open(ctx); err != nil {
		return sum, err
	}
	defer a.details.close()
	err := a.lines(ctx, func(row Row) error {
		sum.Lines++
		sum.Counts[row.Outcome]++
		switch {
		case row.Outcome != OutcomePending:
		case row.Reason == reasonNotFed:
			sum.Unfed++
		case row.Reason == reasonInFlight:
			sum.InFlight++
		}
		return each(row)
	})
	switch {
	case err != nil || sum.Lines == a.Run.Lines:
		return sum, err
	case sum.Lines > a.Run.Lines && a.book.unwritten():
		return sum, ErrNotBegun
	}
	return sum, ErrUnbalanced
}

// open reads the book and the events. The details are to be closed where it succeeds.
func (a *Account) open(ctx context.Context) (err error) {
	if a.book, err = OpenBook(ctx, a.Bucket, a.Run); err != nil {
		return err
	}
	if a.details, err = newDetails(a.Dir, a.Run.LastLine); err != nil {
		return err
	}
	if err = a.read(ctx); err != nil {
		a.details.close()
	}
	return err
}

// read takes all events of the run.
func (a *Account) read(ctx context.Context) error {
	var failed error
	err := a.Events.Follow(ctx, a.Run.ID, 0, a.Run.StartedAt.Add(-clockSlack), func() bool { return false }, func(sequence uint64, event *schemas.Event) {
		if line := a.book.tell(sequence, event); line > 0 && failed == nil {
			failed = a.details.add(line, event)
		}
	})
	return errOr(err, failed)
}

// made is a line on its way to a row.
type made struct {
	row    Row
	state  LineState
	digest string
	key    schemas.JobKey
	fault  *manifest.Fault
}

// rowsAtOnce is how many lines share a question to the ledger.
const rowsAtOnce = 512

func (a *Account) lines(ctx context.Context, each func(Row) error) error {
	opened, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer opened.Close()
	var some []made
	for one, err := range manifest.Each(ctx, opened.Reader, opened.Recipe, max(a.Goroutines, 1), a.make) {
		if err != nil {
			return err
		}
		if one.state == Absent {
			continue
		}
		if some = append(some, one); len(some) == rowsAtOnce {
			if err := a.finish(ctx, some, each); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	if err := a.finish(ctx, some, each); err != nil {
		return err
	}
	if sum, _ := opened.Reader.Digest(); sum != a.Run.Manifest.SHA256 {
		return ErrManifest
	}
	return nil
}

// make runs on several goroutines.
func (a *Account) make(line manifest.Line) made {
	one := made{row: Row{Line: line.Number}, state: a.book.Line(line.Number)}
	if len(line.Faults) > 0 {
		one.fault = &line.Faults[0]
		return one
	}
	one.row.JobID, one.key = line.Job.ID, line.Job.Key()
	if one.state == Fed || one.state.Ended() && !a.details.has(line.Number) {
		if data, err := label(line.Data, line.Job, a.Run.ID, line.Number); err == nil {
			one.digest = digestOf(data)
		}
	}
	return one
}

// finish asks the ledger of those lines of which no event told.
func (a *Account) finish(ctx context.Context, some []made, each func(Row) error) error {
	var keys []schemas.JobKey
	for _, one := range some {
		if one.digest != "" {
			keys = append(keys, one.key)
		}
	}
	records := map[schemas.JobKey][]byte{}
	if len(keys) > 0 {
		var err error
		if records, err = a.Ledger.Records(ctx, keys, false); err != nil {
			return err
		}
	}
	for _, one := range some {
		if err := a.fill(&one, records[one.key]); err != nil {
			return err
		}
		if err := each(one.row); err != nil {
			return err
		}
	}
	return nil
}

func (a *Account) fill(one *made, value []byte) error {
	row := &one.row
	if a.details.has(row.Line) {
		if err := a.details.read(row); err != nil {
			return err
		}
	}
	if record := recordOf(value); record != nil && one.digest != "" {
		own := record.Digest == one.digest
		if own && (one.state == Fed || one.state == Lost || record.Phase.Final()) {
			one.state = ofPhase(record.Phase)
		}
		if own || one.state == Duplicate && record.Phase == job.Accepted {
			row.fromRecord(record)
		}
	}
	row.Outcome = one.state.Outcome(a.Run.State)
	if row.Reason == "" {
		row.Reason = one.reason()
	}
	if one.fault != nil && one.state == Refused {
		row.Reason, row.Path = one.fault.Code, one.fault.Path
	}
	return nil
}

// reason is for lines of which no event gave one.
func (o *made) reason() string {
	switch o.state {
	case Unfed:
		return reasonNotFed
	case Fed:
		return reasonInFlight
	case Duplicate:
		return reasonBefore
	case Blocked:
		return reasonUnderWay
	case Doubtful:
		return reasonUnknown
	case Refused:
		return reasonRefused
	case Lost:
		return reasonLost
	default:
		return ""
	}
}

package backfill

import (
	"errors"
	"fmt"
	"time"
)

// ErrOverdue ends the feeding of a run of which no lines are left but such as would
// end as expired. They are not fed.
var ErrOverdue = errors.New("lines are past their expires_at and were not fed")

// overdue are the lines that a feeder did not feed because their time was over.
type overdue struct{ first, lines int64 }

// overdue tells whether a job's time is over. It is not published then, which would
// only make a dead letter of it; other lines, which may have more time, go on.
func (f *Feeder) overdue(job Job) bool {
	if job.deadline.After(time.Now()) {
		return false
	}
	if f.work.late.lines++; f.work.late.lines == 1 {
		f.work.late.first = job.Line
		f.Say(fmt.Sprintf("line %d is past its expires_at: neither it nor any other such line is fed", job.Line))
	}
	f.book.drop(job.Line)
	return true
}

// err is what a run ends with.
func (o overdue) err(run Run) error {
	if o.lines == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d, the first of them line %d. A job that names no expires_at has --expires-after from the start of its run, %s, and a run keeps that: cancel it, and feed the rest by another run (docs/backfill.md, Lines past their time)",
		ErrOverdue, o.lines, o.first, run.StartedAt.UTC().Format(time.RFC3339))
}

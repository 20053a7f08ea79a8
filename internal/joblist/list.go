package joblist

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/jobindex"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// List gives a page.
func (l Lister) List(ctx context.Context, q Query) (Page, error) {
	w := &walk{from: l, query: q, seen: map[schemas.JobKey]bool{}}
	within := jobindex.Range{Before: q.Before, Since: q.Since}
	if len(q.Correlation) == 0 {
		within.Until = q.Until
	}
	err := l.View.Search(ctx, within, q.terms(), func(sequences []uint64) (bool, error) {
		for some := range slices.Chunk(sequences, chunk) {
			if err := w.look(ctx, some); err != nil || w.full() {
				return false, err
			}
		}
		return true, nil
	})
	w.page.Cost.Index = l.View.Cost()
	return w.page, err
}

// chunk is how many events are read at once.
const chunk = 64

// terms are those by which candidates are looked for. Each job has one event that stands
// for it: the last one, or where a correlation is asked for the last that has it. An event
// of a copy that could not be read has none, and must not hide the job.
func (q Query) terms() (all []jobindex.Any) {
	for key, value := range q.Correlation {
		all = append(all, jobindex.Any{jobindex.Pair(key, value)})
	}
	if q.Destination != "" {
		all = append(all, jobindex.Any{jobindex.Destination(q.Destination)})
	}
	if len(q.Correlation) > 0 {
		return all
	}
	if len(q.States) > 0 {
		var any jobindex.Any
		for _, s := range q.statuses() {
			any = append(any, jobindex.Status(s))
		}
		all = append(all, any)
	}
	if q.Code != "" {
		all = append(all, jobindex.Any{jobindex.Code(q.Code)})
	}
	classes := jobindex.Any{jobindex.Class(schemas.Live), jobindex.Class(schemas.Backfill)}
	if q.Class != "" {
		classes = jobindex.Any{jobindex.Class(q.Class)}
	}
	return append(all, classes)
}

// walk goes through the candidates, the newest first.
type walk struct {
	from  Lister
	query Query
	page  Page
	// seen are jobs that are on the page, or that do not belong there.
	seen map[schemas.JobKey]bool
}

func (w *walk) full() bool { return w.page.Next > 0 }

// told is an event that was read.
type told struct {
	sequence uint64
	stored   time.Time
	data     schemas.EventData
}

func (t told) key() schemas.JobKey {
	return schemas.JobKey{Destination: t.data.Destination, ID: t.data.JobID}
}

// look takes in some candidates.
func (w *walk) look(ctx context.Context, sequences []uint64) error {
	events, err := w.read(ctx, sequences)
	if err != nil {
		return err
	}
	var found []told
	for _, e := range events {
		if w.seen[e.key()] || !w.query.correlated(e.data) {
			continue
		}
		last, stands, err := w.last(ctx, e)
		if err != nil {
			return err
		}
		w.seen[e.key()] = true
		inTime := !last.stored.Before(w.query.Since) && (w.query.Until.IsZero() || last.stored.Before(w.query.Until))
		if stands && w.query.wants(last.data, inTime) {
			last.data.Correlation = e.data.Correlation
			last.sequence = e.sequence // the place in the list
			found = append(found, last)
		}
	}
	return w.add(ctx, found)
}

// last gives the last event of a candidate's job. stands reports whether the candidate is
// the one that stands for the job.
func (w *walk) last(ctx context.Context, e told) (last told, stands bool, err error) {
	later, err := w.from.View.After(ctx, e.sequence, jobindex.Job(e.key()))
	if err != nil || len(later) == 0 {
		return e, true, err
	}
	events, err := w.read(ctx, later)
	if err != nil {
		return e, false, err
	}
	last = e
	for i, one := range events {
		if one.key() != e.key() {
			continue // the job shares its hash with another
		}
		if len(w.query.Correlation) == 0 || w.query.correlated(one.data) {
			return e, false, nil
		}
		if last.sequence == e.sequence {
			last = events[i]
		}
	}
	return last, true, nil
}

// add puts jobs on the page, as the ledger knows them.
func (w *walk) add(ctx context.Context, found []told) error {
	jobs, errs := make([]Job, len(found)), make([]error, len(found))
	each(len(found), func(i int) { jobs[i], errs[i] = w.job(ctx, found[i]) })
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, j := range jobs {
		if len(w.query.States) > 0 && !slices.Contains(w.query.States, j.State) {
			continue
		}
		if len(w.page.Jobs) == w.query.Limit {
			w.page.Next = w.page.Jobs[w.query.Limit-1].Sequence
			return nil
		}
		w.page.Jobs = append(w.page.Jobs, j)
	}
	return nil
}

// job is a line of the list. A job that was accepted stays so; what else its events say
// may have changed since.
func (w *walk) job(ctx context.Context, t told) (Job, error) {
	d := t.data
	j := Job{
		JobID: d.JobID, Destination: d.Destination, Class: d.Class, Operation: d.Operation, State: stateOf(d.Status), ChangedAt: t.stored,
		Sequence: t.sequence, Attempt: d.Attempt, PossibleDuplicate: d.PossibleDuplicate, NextAttemptAt: d.NextAttemptAt, Reason: d.Reason,
		Correlation: d.Correlation,
	}
	if j.State == Accepted {
		return j, nil
	}
	record, known, err := w.from.Records.Find(ctx, t.key())
	if _, newer := errors.AsType[*versioned.Newer](err); newer {
		j.RecordUnread = true
		return j, nil
	}
	if err != nil || !known {
		return j, err
	}
	j.State, j.Attempt, j.PossibleDuplicate = recorded(record), record.Attempt, record.PossibleDuplicate
	j.NextAttemptAt = time.Time{}
	if j.State == Waiting {
		j.NextAttemptAt = record.NextAttemptAt
	}
	return j, nil
}

// read reads events, several at once. What is no event, or is gone, is left out.
func (w *walk) read(ctx context.Context, sequences []uint64) ([]told, error) {
	all, errs := make([]*told, len(sequences)), make([]error, len(sequences))
	each(len(sequences), func(i int) {
		e, ok, err := w.from.View.At(ctx, sequences[i])
		if errs[i] = err; !ok {
			return
		}
		if event, err := schemas.DecodeEvent(e.Data); err == nil {
			all[i] = &told{e.Sequence, e.Stored.UTC(), event.Data}
		}
	})
	w.page.Cost.Events += len(sequences)
	var events []told
	for _, t := range all {
		if t != nil {
			events = append(events, *t)
		}
	}
	return events, errors.Join(errs...)
}

// atOnce is how many requests are under way.
const atOnce = 32

// each calls do with 0 to n-1, several at once.
func each(n int, do func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}

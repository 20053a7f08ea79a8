// Package timeline gathers what is known of one job: its record, its copies in
// the queue, its dead letters, its events, and what operators did with it.
package timeline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
	"github.com/chartpost/chartpost/schemas"
)

// Ledger remembers jobs.
type Ledger interface {
	Find(ctx context.Context, job schemas.JobKey) (record job.Record, ok bool, err error)
}

// Options widen the search.
type Options struct {
	// Since is from when on events are looked at; zero follows from what is known
	// of the job.
	Since time.Time
	// Waiting is how many of the oldest jobs in the lanes are looked at for one that
	// nobody has taken yet.
	Waiting int
	// Brief leaves out the dead letters and what operators did, which are read whole.
	Brief bool
}

// Job is what is known of a job.
type Job struct {
	schemas.JobKey
	// Record is nil where the ledger has none.
	Record *job.Record
	// Copy is in its lane, Schedule brings one back; nil where there is none.
	Copy, Schedule *natsq.JobCopy
	// Again is a copy in the lane of a job whose record has ended: it was published
	// again since, by a person or a submitter, and the record says nothing of it.
	Again *natsq.JobCopy
	// Letters and Events are in the order in which they were stored.
	Letters []natsq.Letter
	Events  []natsq.StoredEvent
	Audits  []schemas.Audit
	// NoAudit tells that the audit could not be read.
	NoAudit bool
	Cost    Cost
}

// Cost is what the search took.
type Cost struct {
	// Events are those whose headers were read, Waiting the jobs that were looked
	// at in the lanes.
	Events, Waiting int
}

// ErrUnknown is that of a job of which nothing is known.
var ErrUnknown = errors.New("nothing is known of a job with this id")

// Find gives the keys of the jobs of an id that the ledger, the schedules, the dead
// letters, the oldest jobs in the lanes or, from o.Since on, the events know. An id
// may be in use at several destinations.
func Find(ctx context.Context, queue *natsq.Conn, id string, o Options) ([]schemas.JobKey, error) {
	found := map[schemas.JobKey]bool{}
	keys, err := queue.KeysOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		found[key] = true
	}
	err = queue.Letters(ctx, func(l natsq.Letter) bool {
		if l.Name() == id {
			found[l.Named()] = true
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if !o.Since.IsZero() {
		scan := natsq.EventScan{JobID: id}
		scan.Since = o.Since
		events, _, err := queue.Scan(ctx, scan)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			found[schemas.KeyOf(e.Event.Lane(), id)] = true
		}
	}
	if len(found) == 0 {
		waiting, _, err := queue.Waiting(ctx, schemas.JobKey{ID: id}, o.Waiting)
		if err != nil {
			return nil, err
		}
		if waiting != nil {
			found[schemas.KeyOf(waiting.Lane, id)] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b schemas.JobKey) int { return strings.Compare(a.Destination, b.Destination) }), nil
}

// Gather looks for everything there is of a job.
func Gather(ctx context.Context, queue *natsq.Conn, ledger Ledger, key schemas.JobKey, o Options) (*Job, error) {
	j := &Job{JobKey: key}
	for _, step := range []func(context.Context, *natsq.Conn, Ledger, Options) error{j.record, j.copies, j.letters, j.events} {
		if err := step(ctx, queue, ledger, o); err != nil {
			return nil, err
		}
	}
	if j.Record == nil && j.Copy == nil && j.Schedule == nil && len(j.Letters)+len(j.Events) == 0 {
		return j, ErrUnknown
	}
	if o.Brief {
		return j, ctx.Err()
	}
	err := queue.Audits(ctx, natsq.AuditRange{JobID: key.ID}, func(a schemas.Audit) bool {
		if d := a.Data.Target.Destination; d == "" || d == key.Destination {
			j.Audits = append(j.Audits, a)
		}
		return true
	})
	j.NoAudit = err != nil
	return j, ctx.Err()
}

func (j *Job) record(ctx context.Context, _ *natsq.Conn, ledger Ledger, _ Options) error {
	if j.Destination == "" {
		return nil // the ledger knows no id alone
	}
	record, known, err := ledger.Find(ctx, j.JobKey)
	if known {
		j.Record = &record
	}
	return err
}

func (j *Job) letters(ctx context.Context, queue *natsq.Conn, _ Ledger, o Options) error {
	if o.Brief {
		return nil
	}
	return queue.Letters(ctx, func(l natsq.Letter) bool {
		if l.Named() == j.JobKey {
			j.Letters = append(j.Letters, l)
		}
		return true
	})
}

// copies looks for the job in the queue. The lanes are searched only where the
// ledger knows nothing, since from its first delivery on a job has a record, and
// behind the copy of a job that has ended.
func (j *Job) copies(ctx context.Context, queue *natsq.Conn, _ Ledger, o Options) (err error) {
	if j.Destination == "" {
		j.Copy, j.Cost.Waiting, err = queue.Waiting(ctx, j.JobKey, o.Waiting)
		return err
	}
	if j.Schedule, err = queue.Scheduled(ctx, j.JobKey); err != nil {
		return err
	}
	switch {
	case j.Record != nil:
		if j.Copy, err = queue.Held(ctx, j.Record.Sequence, j.Record.Stored); err != nil || !j.Record.Phase.Final() {
			return err
		}
		j.Again, j.Cost.Waiting, err = queue.WaitingBehind(ctx, j.JobKey, j.Record.Sequence, o.Waiting)
	case j.Schedule == nil:
		j.Copy, j.Cost.Waiting, err = queue.Waiting(ctx, j.JobKey, o.Waiting)
	}
	return err
}

// events looks at the few statuses first that only jobs in trouble have, over the
// whole time, then at the many, close to what was found, and last at what Redox's logs
// told.
func (j *Job) events(ctx context.Context, queue *natsq.Conn, _ Ledger, o Options) error {
	for _, next := range []func(Options) (natsq.EventScan, bool){j.rare, j.common, j.outcomes} {
		scan, wanted := next(o)
		if !wanted {
			continue
		}
		found, read, err := queue.Scan(ctx, scan)
		if err != nil {
			return err
		}
		j.Cost.Events += read
		j.Events = append(j.Events, found...)
	}
	slices.SortStableFunc(j.Events, func(a, b natsq.StoredEvent) int { return a.Stored.Compare(b.Stored) })
	return nil
}

// After is the job of the same destination that must be accepted first; empty where
// none is known of.
func (j *Job) After() string {
	for _, c := range []*natsq.JobCopy{j.Schedule, j.Copy} {
		if c != nil && c.After != "" {
			return c.After
		}
	}
	if j.Record != nil && j.Record.Predecessor != nil {
		return j.Record.Predecessor.ID
	}
	if n := len(j.Letters); n > 0 {
		return j.Letters[n-1].After
	}
	return ""
}

// Lane is the job's, as far as it is known.
func (j *Job) Lane() (lane schemas.Lane, known bool) {
	switch {
	case j.Schedule != nil && j.Schedule.Lane != (schemas.Lane{}):
		return j.Schedule.Lane, true
	case j.Again != nil && j.Again.Lane != (schemas.Lane{}):
		return j.Again.Lane, true
	case j.Copy != nil && j.Copy.Lane != (schemas.Lane{}):
		return j.Copy.Lane, true
	case len(j.Letters) > 0:
		return j.Letters[len(j.Letters)-1].Lane, true
	case len(j.Events) > 0:
		return j.Events[len(j.Events)-1].Event.Lane(), true
	}
	return schemas.Lane{}, false
}

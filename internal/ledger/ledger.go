// Package ledger keeps the record of each job in a JetStream key-value bucket,
// changed only by compare-and-set on its revision.
//
// The acknowledgement of a message is never the record: on a single server even
// a confirmed one can come back after a crash.
package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/ledger/archive"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Patience is how long one operation is tried against a bucket that does not
// answer: an election of a new leader takes up to 9 s.
const Patience = 30 * time.Second

// Ledger implements worker.Ledger.
type Ledger struct {
	bucket   jetstream.KeyValue
	patience time.Duration
	// ended writes the records of jobs that have ended; nil where the bucket
	// makes no difference.
	ended endedWriter
	// archive has the records that have left the bucket; nil where none leave it.
	archive archived
}

// endedWriter is a bucket that keeps the records of jobs that have ended for
// another time than those of jobs under way. Its methods do and fail as Create
// and Update of jetstream.KeyValue.
type endedWriter interface {
	CreateEnded(ctx context.Context, key string, value []byte) (uint64, error)
	UpdateEnded(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// archived is a bucket whose records of accepted jobs go to an archive after a
// while.
type archived interface {
	// Archived looks for a record that has left the bucket. An error of type
	// *archive.Unreadable will not pass by itself.
	Archived(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Discard removes exactly one revision of a key from the bucket; one that has
	// gone is no error.
	Discard(ctx context.Context, key string, revision uint64) error
}

// Accepted reports whether value is the record of a job that was accepted. Nothing
// changes such a record any more: it may go to the archive.
func Accepted(value []byte) bool {
	var record struct {
		Phase job.Phase `json:"phase"`
	}
	return versioned.Decode(value, job.RecordVersion, &record) == nil && record.Phase == job.Accepted
}

// New keeps records in bucket and tries each operation for as long as patience.
// Where bucket has CreateEnded and UpdateEnded, the records of jobs that have
// ended (job.Phase.Final) are written by these. Where it has Archived and
// Discard, records are looked for there too.
func New(bucket jetstream.KeyValue, patience time.Duration) *Ledger {
	ended, _ := bucket.(endedWriter)
	archive, _ := bucket.(archived)
	return &Ledger{bucket: bucket, patience: patience, ended: ended, archive: archive}
}

func (l *Ledger) create(ctx context.Context, key string, value []byte, phase job.Phase) (uint64, error) {
	if l.ended != nil && phase.Final() {
		return l.ended.CreateEnded(ctx, key, value)
	}
	return l.bucket.Create(ctx, key, value)
}

func (l *Ledger) update(ctx context.Context, key string, value []byte, phase job.Phase, revision uint64) (uint64, error) {
	if l.ended != nil && phase.Final() {
		return l.ended.UpdateEnded(ctx, key, value, revision)
	}
	return l.bucket.Update(ctx, key, value, revision)
}

// page is one record with the revision it was read or written at.
type page struct {
	ledger *Ledger
	// key is the job's, in the bucket.
	key      string
	record   job.Record
	revision uint64
}

// Open implements worker.Ledger. Making the record comes first: a new job is
// the common case.
func (l *Ledger) Open(ctx context.Context, job schemas.JobKey, fresh job.Record) (worker.Entry, bool, error) {
	p := &page{ledger: l, key: job.Tokens()}
	value, err := json.Marshal(fresh)
	if err != nil {
		return nil, false, unavailable(err)
	}
	created := false
	err = l.retry(ctx, func(ctx context.Context, again bool) error {
		revision, err := l.create(ctx, p.key, value, fresh.Phase)
		if err == nil {
			p.record, p.revision, created = fresh, revision, true
			return l.recall(ctx, p, &created)
		}
		if !conflict(err) {
			return err
		}
		found, err := l.read(ctx, p)
		if err != nil {
			return err
		}
		// A try that seemed to fail may have written our own record.
		created = again && bytes.Equal(found, value)
		return l.recall(ctx, p, &created)
	})
	if err != nil {
		return nil, false, err
	}
	return p, created, nil
}

// recall asks the archive, where the bucket does not say that the job has ended.
// What the archive has is the truth, and the record in the bucket goes: somebody
// made it after the job's own had left.
//
// It is asked after the record was made. A record is in the archive before it
// leaves the bucket, so whoever could make one for a job that was accepted finds
// the job there, however long he stood still in between. And where he ends before
// he has asked, whoever opens the job next asks.
func (l *Ledger) recall(ctx context.Context, p *page, created *bool) error {
	if l.archive == nil || !*created && p.record.Phase.Final() {
		return nil
	}
	value, ok, err := l.archive.Archived(ctx, p.key)
	if err != nil || !ok {
		return archiveFault(err)
	}
	record, err := decode(value)
	if err != nil {
		return err
	}
	if err := l.archive.Discard(ctx, p.key, p.revision); err != nil {
		return err
	}
	// No record of this key is in the bucket: that is what a save is compared with.
	p.record, p.revision, *created = record, 0, false
	return nil
}

// Find reads the record of a job without touching it; ok is false where the
// ledger knows nothing of the job.
func (l *Ledger) Find(ctx context.Context, job schemas.JobKey) (record job.Record, ok bool, err error) {
	p := &page{ledger: l, key: job.Tokens()}
	err = l.retry(ctx, func(ctx context.Context, _ bool) error {
		_, err := l.read(ctx, p)
		ok = err == nil
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
		if l.archive == nil || ok && p.record.Phase.Final() {
			return nil
		}
		value, there, err := l.archive.Archived(ctx, p.key)
		if err != nil || !there {
			return archiveFault(err)
		}
		p.record, err = decode(value)
		ok = err == nil
		return err
	})
	return p.record, ok && err == nil, err
}

func (l *Ledger) read(ctx context.Context, p *page) ([]byte, error) {
	entry, err := l.bucket.Get(ctx, p.key)
	if err != nil {
		return nil, err
	}
	record, err := decode(entry.Value())
	if err != nil {
		return nil, err
	}
	p.record, p.revision = record, entry.Revision()
	return entry.Value(), nil
}

// decode reads a record; an error is judged.
func decode(value []byte) (record job.Record, err error) {
	if err := json.Unmarshal(value, &record); err != nil {
		return job.Record{}, unreadable(err)
	}
	return record, nil
}

// Record implements worker.Entry.
func (p *page) Record() job.Record { return p.record }

// Save implements pipeline.RecordStore.
func (p *page) Save(ctx context.Context, record job.Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return unavailable(err)
	}
	return p.ledger.retry(ctx, func(ctx context.Context, _ bool) error {
		revision, err := p.ledger.update(ctx, p.key, value, record.Phase, p.revision)
		if err == nil {
			p.record, p.revision = record, revision
			return nil
		}
		if !conflict(err) {
			return err
		}
		return p.contested(ctx, value, err)
	})
}

// contested finds out what a lost compare-and-set means. The value may be our
// own, written by a try that seemed to fail: no other worker writes the same
// bytes, since a record names its owner. Or the write that was in the way is
// still in flight and the revision stands: then the save is tried again.
func (p *page) contested(ctx context.Context, value []byte, lost error) error {
	entry, err := p.ledger.bucket.Get(ctx, p.key)
	switch {
	case err != nil && !errors.Is(err, jetstream.ErrKeyNotFound):
		return err
	case err == nil && bytes.Equal(entry.Value(), value):
		p.revision = entry.Revision()
		return json.Unmarshal(value, &p.record)
	case err == nil && entry.Revision() <= p.revision:
		// Below it, a replica answered that lags behind.
		return lost
	}
	return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "superseded",
		Text: "another worker owns the job now", Cause: lost}
}

// retry tries op until it succeeds, fails for good, or patience or ctx ends.
// again is true from the second try on.
func (l *Ledger) retry(ctx context.Context, op func(ctx context.Context, again bool) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	again := false
	err := retry.Do(ctx, hopeless, func(ctx context.Context) error {
		defer func() { again = true }()
		return op(ctx, again)
	})
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f
	}
	return unavailable(err)
}

// hopeless tells errors that no wait can cure: what was judged already, and
// what the library refuses by itself.
func hopeless(err error) bool {
	if _, judged := errors.AsType[*fault.Fault](err); judged {
		return true
	}
	return errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload) ||
		errors.Is(err, jetstream.ErrInvalidKey)
}

// unavailable says nothing of what was sent: the write that failed may be the
// one after the sending.
func unavailable(err error) error {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "ledger_unavailable",
		Text: "the job's record could not be read or written", Cause: err}
}

// unreadable judges a record that was not read. One of a later version is for the
// workers of that version. Any other is for a person: what became of its job is not
// known, and no wait changes that.
func unreadable(err error) error {
	if _, newer := errors.AsType[*versioned.Newer](err); newer {
		return &fault.Fault{Kind: fault.Retryable, Scope: fault.Job, Code: "ledger_later_version",
			Text: "a worker of a later version wrote the job's record; this one leaves the job to those, update it", Cause: err}
	}
	return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: CodeUnreadable,
		Text: "the job's record cannot be read, and it is not known whether Redox has the message; repair or delete the record, then replay the dead letter", Cause: err}
}

// CodeUnreadable is the code of a record, or of a part of the archive that may have
// it, which is there and cannot be read.
const CodeUnreadable = "ledger_unreadable"

// archiveFault judges a part of the archive that is damaged; other errors, and
// nil, stay as they are.
func archiveFault(err error) error {
	if _, is := errors.AsType[*archive.Unreadable](err); !is {
		return err
	}
	return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: CodeUnreadable,
		Text: "a part of the ledger's archive is damaged or missing, and may have the job's record; nothing is sent; restore it, then replay the dead letter", Cause: err}
}

// conflict tells a lost compare-and-set.
func conflict(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

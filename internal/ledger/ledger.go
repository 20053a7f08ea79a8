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
	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/pipeline"
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
}

// endedWriter is a bucket that keeps the records of jobs that have ended for
// another time than those of jobs under way. Its methods do and fail as Create
// and Update of jetstream.KeyValue.
type endedWriter interface {
	CreateEnded(ctx context.Context, key string, value []byte) (uint64, error)
	UpdateEnded(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// New keeps records in bucket and tries each operation for as long as patience.
// Where bucket has CreateEnded and UpdateEnded, the records of jobs that have
// ended (pipeline.Phase.Final) are written by these.
func New(bucket jetstream.KeyValue, patience time.Duration) *Ledger {
	ended, _ := bucket.(endedWriter)
	return &Ledger{bucket: bucket, patience: patience, ended: ended}
}

func (l *Ledger) create(ctx context.Context, key string, value []byte, phase pipeline.Phase) (uint64, error) {
	if l.ended != nil && phase.Final() {
		return l.ended.CreateEnded(ctx, key, value)
	}
	return l.bucket.Create(ctx, key, value)
}

func (l *Ledger) update(ctx context.Context, key string, value []byte, phase pipeline.Phase, revision uint64) (uint64, error) {
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
	record   pipeline.Record
	revision uint64
}

// Open implements worker.Ledger. Making the record comes first: a new job is
// the common case, and it costs one round trip.
func (l *Ledger) Open(ctx context.Context, job schemas.JobKey, fresh pipeline.Record) (worker.Page, bool, error) {
	p := &page{ledger: l, key: job.Tokens(), record: fresh}
	value, err := json.Marshal(fresh)
	if err != nil {
		return nil, false, unavailable(err)
	}
	created := false
	err = l.insist(ctx, func(ctx context.Context, again bool) error {
		revision, err := l.create(ctx, p.key, value, fresh.Phase)
		if err == nil {
			p.revision, created = revision, true
			return nil
		}
		if !conflict(err) {
			return err
		}
		found, err := l.read(ctx, p)
		// A try that seemed to fail may have written our own record.
		created = again && err == nil && bytes.Equal(found, value)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return p, created, nil
}

// Find reads the record of a job without touching it; ok is false where the
// ledger knows nothing of the job.
func (l *Ledger) Find(ctx context.Context, job schemas.JobKey) (record pipeline.Record, ok bool, err error) {
	p := &page{ledger: l, key: job.Tokens()}
	err = l.insist(ctx, func(ctx context.Context, _ bool) error {
		_, err := l.read(ctx, p)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		ok = err == nil
		return err
	})
	return p.record, ok, err
}

func (l *Ledger) read(ctx context.Context, p *page) ([]byte, error) {
	entry, err := l.bucket.Get(ctx, p.key)
	if err != nil {
		return nil, err
	}
	var record pipeline.Record
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return nil, unreadable(err)
	}
	if record.Phase == "" {
		return nil, unreadable(errNoPhase)
	}
	p.record, p.revision = record, entry.Revision()
	return entry.Value(), nil
}

// Record implements worker.Page.
func (p *page) Record() pipeline.Record { return p.record }

// Save implements pipeline.Journal.
func (p *page) Save(ctx context.Context, record pipeline.Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return unavailable(err)
	}
	return p.ledger.insist(ctx, func(ctx context.Context, _ bool) error {
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

// insist tries op until it succeeds, fails for good, or patience or ctx ends.
// again is true from the second try on.
func (l *Ledger) insist(ctx context.Context, op func(ctx context.Context, again bool) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	again := false
	err := insist.Do(ctx, hopeless, func(ctx context.Context) error {
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

var errNoPhase = errors.New("the record has no phase")

func unreadable(err error) error {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "ledger_unreadable",
		Text: "the job's record is not one of this version; mend or delete it, and the job goes on", Cause: err}
}

// conflict tells a lost compare-and-set.
func conflict(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

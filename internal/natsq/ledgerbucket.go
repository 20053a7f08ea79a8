package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// ledgerBucket notes how the ledger's reads and writes end: on a full disk the
// first thing that fails is the record of a job, before anything is published.
type ledgerBucket struct {
	jetstream.KeyValue
	conn *Conn
	// endedAge is how long the record of a job that has ended is kept after its
	// last change; 0 is as long as any other.
	endedAge time.Duration
	// refuses is set when the bucket has refused a TTL: it was made anew, by hand,
	// after it was opened. It holds until the bucket is opened again.
	refuses *atomic.Bool
	archive *archive.Archive
}

func (c *Conn) ledgerBucket(kv jetstream.KeyValue, cfg jetstream.StreamConfig) ledgerBucket {
	return ledgerBucket{KeyValue: kv, conn: c, endedAge: endedAge(cfg), refuses: new(atomic.Bool), archive: c.Archive(nil, 0, 0)}
}

// endedAge reads what Setup wrote. A bucket of an older Setup has no such age
// and refuses TTLs; the server refuses those below a second anywhere.
func endedAge(cfg jetstream.StreamConfig) time.Duration {
	age, err := time.ParseDuration(cfg.Metadata[metaEndedAge])
	if err != nil || age < time.Second || !cfg.AllowMsgTTL {
		return 0
	}
	return age
}

func (b ledgerBucket) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	began := time.Now()
	revision, err := b.KeyValue.Create(ctx, key, value, opts...)
	b.tried("writing the ledger", key, began, err)
	return revision, err
}

func (b ledgerBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	began := time.Now()
	revision, err := b.KeyValue.Update(ctx, key, value, revision)
	b.tried("writing the ledger", key, began, err)
	return revision, err
}

// CreateEnded does as Create does, with the record of a job that has ended.
func (b ledgerBucket) CreateEnded(ctx context.Context, key string, value []byte) (uint64, error) {
	if b.plain() {
		return b.Create(ctx, key, value)
	}
	revision, err := b.Create(ctx, key, value, jetstream.KeyTTL(b.endedAge))
	if b.refused(err) {
		return b.Create(ctx, key, value)
	}
	return revision, err
}

// UpdateEnded does as Update does, with the record of a job that has ended, of a
// key that was created or read before. The library's own Update knows no TTL.
// The TTL is the message's: the next update of the key is not bound by it.
// NATS: ADR-43, "JetStream Per-Message TTL".
func (b ledgerBucket) UpdateEnded(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if b.plain() {
		return b.Update(ctx, key, value, revision)
	}
	began := time.Now()
	msg := nats.NewMsg("$KV." + b.Bucket() + "." + key)
	msg.Data = value
	ack, err := b.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(b.endedAge))
	if b.refused(err) {
		return b.Update(ctx, key, value, revision)
	}
	err = mismatch(err)
	b.tried("writing the ledger", key, began, err)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// plain tells whether records are written without a TTL.
func (b ledgerBucket) plain() bool { return b.endedAge == 0 || b.refuses.Load() }

// codeNoTTL is the server's for a TTL in a stream that allows none.
const codeNoTTL = 10166

// refused tells whether the bucket takes no TTL; the end of a job is recorded all
// the same, and kept as long as any record.
func (b ledgerBucket) refused(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok || api.ErrorCode != codeNoTTL {
		return false
	}
	if !b.refuses.Swap(true) {
		b.conn.log.Warn("the ledger's bucket was made anew and takes no TTLs: records of ended jobs stay as long as the others; run chartpost setup, and start the workers again")
	}
	return true
}

// mismatch tells a lost compare-and-set as Update of jetstream.KeyValue does.
func mismatch(err error) error {
	if !lostRace(err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, jetstream.ErrKeyRevisionMismatch)
}

// Get reads a record from the bucket's leader. The library asks any replica, and one
// that lags answers with what was: a job would be settled, or called under way, by a
// record that is not true any more.
func (b ledgerBucket) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	began := time.Now()
	entry, err := b.get(ctx, key)
	b.tried("reading the ledger", key, began, err)
	return entry, err
}

func (b ledgerBucket) get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if key == "" || strings.ContainsAny(key, " \t\r\n*>") {
		return nil, jetstream.ErrInvalidKey
	}
	msg, err := b.conn.fromLeader(ctx, bucketStream(b.Bucket()), leaderGet{LastOf: "$KV." + b.Bucket() + "." + key})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, jetstream.ErrKeyNotFound
	}
	if err != nil {
		return nil, err
	}
	value := valueOf(msg.Header, msg.Data)
	if value == nil {
		return nil, jetstream.ErrKeyNotFound
	}
	return ledgerEntry{bucket: b.Bucket(), key: key, value: value, revision: msg.Sequence, created: msg.Time}, nil
}

// ledgerEntry is a jetstream.KeyValueEntry.
type ledgerEntry struct {
	bucket, key string
	value       []byte
	revision    uint64
	created     time.Time
}

func (e ledgerEntry) Bucket() string                  { return e.bucket }
func (e ledgerEntry) Key() string                     { return e.key }
func (e ledgerEntry) Value() []byte                   { return e.value }
func (e ledgerEntry) Revision() uint64                { return e.revision }
func (e ledgerEntry) Created() time.Time              { return e.created }
func (e ledgerEntry) Delta() uint64                   { return 0 }
func (e ledgerEntry) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

// Archived looks for a record that has left the bucket. An error of type
// *archive.Unreadable will not pass by itself.
func (b ledgerBucket) Archived(ctx context.Context, key string) (value []byte, ok bool, err error) {
	return b.conn.lookUp(ctx, b.archive, key)
}

// Discard removes exactly one revision, and leaves no mark in its place.
func (b ledgerBucket) Discard(ctx context.Context, key string, revision uint64) error {
	began := time.Now()
	err := archiveBucket{b.conn, b.Bucket()}.remove(ctx, revision)
	b.tried("writing the ledger", key, began, err)
	return err
}

// tried takes the bucket's "no" for an answer.
func (b ledgerBucket) tried(what, key string, began time.Time, err error) {
	for _, answer := range []error{
		jetstream.ErrKeyExists, jetstream.ErrKeyNotFound, jetstream.ErrKeyRevisionMismatch, jetstream.ErrInvalidKey,
	} {
		if errors.Is(err, answer) {
			err = nil
		}
	}
	b.conn.tried(what, key, began, err)
}

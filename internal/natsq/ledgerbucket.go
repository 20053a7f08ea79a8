package natsq

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ledgerBucket notes how the ledger's reads and writes end: on a full disk the
// first thing that fails is the record of a job, before anything is published.
type ledgerBucket struct {
	jetstream.KeyValue
	conn *Conn
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

func (b ledgerBucket) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	began := time.Now()
	entry, err := b.KeyValue.Get(ctx, key)
	b.tried("reading the ledger", key, began, err)
	return entry, err
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

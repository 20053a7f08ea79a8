package natsq

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// BudgetRecord is the one record of a scope's request budget, in the control
// bucket. It implements budget.Store.
type BudgetRecord struct{ cell }

// cell is one record of a bucket.
type cell struct {
	bucket jetstream.KeyValue
	key    string
}

// Budget opens the budget's record of a scope, the name of an egress address.
func (c *Conn) Budget(ctx context.Context, scope string) (*BudgetRecord, error) {
	bucket, err := c.bucket(ctx, c.stream(control))
	if err != nil {
		return nil, err
	}
	return &BudgetRecord{cell{bucket: bucket, key: "budget." + schemas.Token(scope)}}, nil
}

// Read gives the record and the server's time of its last write; revision 0
// says that there is none. A replica may answer that lags behind.
func (b *cell) Read(ctx context.Context) (value []byte, revision uint64, written time.Time, err error) {
	entry, err := b.bucket.Get(ctx, b.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, time.Time{}, nil
	}
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	return entry.Value(), entry.Revision(), entry.Created(), nil
}

// Write replaces the record of a revision, 0 for none; done is false where
// somebody was faster. An error leaves open whether it was written.
func (b *cell) Write(ctx context.Context, value []byte, revision uint64) (next uint64, done bool, err error) {
	if revision == 0 {
		next, err = b.bucket.Create(ctx, b.key, value)
	} else {
		next, err = b.bucket.Update(ctx, b.key, value, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, false, nil
	}
	return next, err == nil, err
}

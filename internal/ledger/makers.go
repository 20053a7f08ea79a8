package ledger

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// makersKey is the key of a document's record. An id of a job has no equals sign, so that
// no job's record has the same.
func makersKey(document worker.DocumentKey) string {
	return schemas.Token(document.Destination) + ".=" + hex.EncodeToString(document.Digest[:])
}

// Makers implements worker.Ledger.
func (l *Ledger) Makers(ctx context.Context, document worker.DocumentKey) (makers job.Makers, err error) {
	err = l.retry(ctx, func(ctx context.Context, _ bool) error {
		makers, _, err = l.makers(ctx, makersKey(document))
		return err
	})
	return makers, err
}

// Makes implements worker.Ledger.
func (l *Ledger) Makes(ctx context.Context, document worker.DocumentKey, one job.Maker) (makers job.Makers, err error) {
	key := makersKey(document)
	err = l.retry(ctx, func(ctx context.Context, _ bool) error {
		var revision uint64
		makers, revision, err = l.makers(ctx, key)
		if err != nil || !makers.Add(one) {
			return err
		}
		value, err := versioned.Encode(makers)
		if err != nil {
			return unavailable(err)
		}
		if revision == 0 {
			_, err = l.bucket.Create(ctx, key, value)
		} else {
			_, err = l.bucket.Update(ctx, key, value, revision)
		}
		return err // a lost comparison is tried again
	})
	return makers, err
}

// makers reads the record of a document; the revision is 0 where there is none.
func (l *Ledger) makers(ctx context.Context, key string) (makers job.Makers, revision uint64, err error) {
	makers.Version = job.MakersVersion
	entry, err := l.bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return makers, 0, nil
	}
	if err != nil {
		return makers, 0, err
	}
	if err := versioned.Decode(entry.Value(), job.MakersVersion, &makers); err != nil {
		return makers, 0, unreadable(err)
	}
	return makers, entry.Revision(), nil
}

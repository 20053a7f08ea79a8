package natsq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/retry"
)

// Runs keeps the records of backfill runs in the control bucket. Records are read
// from the bucket's leader.
type Runs struct {
	conn   *Conn
	bucket jetstream.KeyValue
}

var _ backfill.Shelf = (*Runs)(nil)

// Runs opens the records of runs.
func (c *Conn) Runs(ctx context.Context) (*Runs, error) {
	bucket, err := c.js.KeyValue(ctx, c.stream(control))
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", c.stream(control), err)
	}
	return &Runs{conn: c, bucket: bucket}, nil
}

// Remove implements backfill.Shelf.
func (r *Runs) Remove(ctx context.Context, key string) error {
	return r.retry(ctx, writingRuns, key, hopeless, func(ctx context.Context) error { return r.bucket.Purge(ctx, key) })
}

// What is tried, to the log and to Troubles.
const (
	writingRuns = "writing the run's records"
	readingRuns = "reading the run's records"
)

// retry tries op for as long as ctx allows, and says so when that takes long. A
// race that was lost is an answer.
func (r *Runs) retry(ctx context.Context, what, key string, settled func(error) bool, op func(context.Context) error) error {
	return retry.Do(ctx, settled, func(ctx context.Context) error {
		began := time.Now()
		err := op(ctx)
		if errors.Is(err, backfill.ErrChanged) {
			r.conn.tried(what, key, began, nil)
			return err
		}
		r.conn.tried(what, key, began, err)
		return err
	})
}

// Keys lists the keys that match a filter, sorted.
func (r *Runs) Keys(ctx context.Context, filter string) ([]string, error) {
	lister, err := r.bucket.ListKeysFiltered(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	var keys []string
	for key := range lister.Keys() {
		keys = append(keys, key)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	slices.Sort(keys)
	return keys, nil
}

// Read implements backfill.Bucket.
func (r *Runs) Read(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = r.retry(ctx, readingRuns, key, hopeless, func(ctx context.Context) error {
		value, revision, err = r.read(ctx, key)
		return err
	})
	return value, revision, err
}

func (r *Runs) read(ctx context.Context, key string) ([]byte, uint64, error) {
	control := r.conn.control()
	msg, err := r.conn.fromLeader(ctx, control.stream(), leaderGet{LastOf: control.subject(key)})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return valueOf(msg.Header, msg.Data), msg.Sequence, nil
}

// Write implements backfill.Bucket. It tries until the outcome is known or ctx
// ends: a write that seemed to fail may have been stored, and then the record is
// the one given.
func (r *Runs) Write(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = r.retry(ctx, writingRuns, key, settledRace, func(ctx context.Context) error {
		msg := &nats.Msg{Subject: r.conn.control().subject(key), Data: value}
		ack, err := r.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision))
		if err == nil {
			next = ack.Sequence
			return nil
		}
		if !lostRace(err) {
			return err
		}
		found, at, readErr := r.read(ctx, key)
		switch {
		case readErr != nil:
			return readErr
		case at == revision: // a write still in flight was in the way
			return err
		case bytes.Equal(found, value):
			next = at
			return nil
		}
		return backfill.ErrChanged
	})
	return next, err
}

func settledRace(err error) bool { return errors.Is(err, backfill.ErrChanged) || hopeless(err) }

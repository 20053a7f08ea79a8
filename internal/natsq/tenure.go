package natsq

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// tenure is the fleet's word on which worker does what only one should do: it lists
// the lanes, makes their consumers, buries what is on no lane, and looks after
// overdue schedules.
//
// It is one record in the control bucket, changed by compare-and-set. Its writer has
// the tenure for a term from before the write. Another worker takes it when it has
// seen the record unchanged for a term by its own clock, so that two never have it.
type tenure struct {
	conn *Conn
	// bucket and key are where its record is.
	bucket, key string
	// name is no other worker's.
	name string
	term time.Duration

	mu    sync.Mutex
	until time.Time
	// revision is that of the record when it was last read, and since when it was
	// read for the first time. Only take touches them, and record.
	revision uint64
	since    time.Time
	record   *cell
}

// tenureKey is its record's. Keys of lanes and budgets begin otherwise.
const tenureKey = "tenure"

func newTenure(c *Conn, name string, term time.Duration) *tenure {
	return &tenure{conn: c, bucket: c.stream(control), key: tenureKey, name: name, term: term}
}

// left is how long this worker still has the tenure; 0 where it has not.
func (t *tenure) left(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.until.Sub(now), 0)
}

// mine reports whether this worker has the tenure.
func (t *tenure) mine(now time.Time) bool { return t.left(now) > 0 }

// take begins or renews the tenure. It is false where another worker has it. One
// goroutine calls it.
func (t *tenure) take(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if t.record == nil {
		bucket, err := t.conn.js.KeyValue(ctx, t.bucket)
		if err != nil {
			return false, err
		}
		t.record = &cell{bucket: bucket, key: t.key}
	}
	owner, revision, _, err := t.record.Read(ctx)
	if err != nil {
		return false, err
	}
	began := time.Now()
	if revision != t.revision || t.since.IsZero() {
		t.revision, t.since = revision, began
	}
	if revision > 0 && string(owner) != t.name && began.Sub(t.since) < t.term {
		return false, nil
	}
	_, done, err := t.record.Write(ctx, []byte(t.name), revision)
	if err != nil || !done {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = began.Add(t.term)
	return true, nil
}

// resign lets another worker take the tenure at once. It is for a worker that stops.
func (t *tenure) resign(ctx context.Context) {
	if !t.mine(time.Now()) {
		return
	}
	t.mu.Lock()
	t.until = time.Time{}
	t.mu.Unlock()
	_, revision, _, err := t.record.Read(ctx)
	if err == nil {
		err = t.record.bucket.Delete(ctx, t.record.key, jetstream.LastRevision(revision))
	}
	if err != nil {
		t.conn.log.Debug("a tenure could not be resigned; it ends by itself", "error", reasonOf(err))
	}
}

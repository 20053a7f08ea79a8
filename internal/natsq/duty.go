package natsq

import (
	"context"
	"sync"
	"time"
)

// duty is the fleet's word on which worker hands out orphans, and looks after
// schedules. Another that handed them out too would give out a second time what
// somebody works on: there is no lease by which the server would tell.
//
// It is one record in the control bucket, written by compare-and-set only while
// there are orphans or schedules. Its writer has the duty for a term from before the write.
// Others take it when they have seen the record unchanged for a term and a
// lease, each by its own clock: by then whatever the writer had in hand is over.
type duty struct {
	conn *Conn
	// name is no other worker's.
	name        string
	term, lease time.Duration

	mu    sync.Mutex
	until time.Time
	// revision is that of the record when it was last read, and since when it
	// was read for the first time; only take touches them.
	revision uint64
	since    time.Time
	record   *cell
}

// dutyKey is its record's; keys of lanes and budgets begin otherwise.
const dutyKey = "orphans"

func newDuty(c *Conn, name string, term, lease time.Duration) *duty {
	return &duty{conn: c, name: name, term: term, lease: lease}
}

// mine tells whether this worker has the duty.
func (d *duty) mine(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.until)
}

// take begins or renews the duty; false says that another worker has it. It is
// called by one goroutine.
func (d *duty) take(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if d.record == nil {
		bucket, err := d.conn.js.KeyValue(ctx, d.conn.stream(control))
		if err != nil {
			return false, err
		}
		d.record = &cell{bucket: bucket, key: dutyKey}
	}
	owner, revision, _, err := d.record.Read(ctx)
	if err != nil {
		return false, err
	}
	began := time.Now()
	if revision != d.revision || d.since.IsZero() {
		d.revision, d.since = revision, began
	}
	if revision > 0 && string(owner) != d.name && began.Sub(d.since) < d.term+d.lease {
		return false, nil
	}
	_, done, err := d.record.Write(ctx, []byte(d.name), revision)
	if err != nil || !done {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = began.Add(d.term)
	return true, nil
}

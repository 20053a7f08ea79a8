package natsq

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// unservedKey is the record in the control bucket of the lanes that hold jobs which
// nobody can take.
const unservedKey = "unserved"

// unservedEvery is how often the record is written while it changes.
const unservedEvery = 5 * time.Second

// unservedRecord is what the worker that looks after the lanes says of those it cannot
// serve.
type unservedRecord struct {
	// Lanes is how many there are, and Reasons why, of the first hundred, by
	// "<class>.<destination token>".
	Lanes   int               `json:"lanes"`
	Reasons map[string]string `json:"reasons"`
	At      time.Time         `json:"at"`
}

// note writes the record, or that there is none any more.
func (c *coordinator) noteUnserved(ctx context.Context) {
	now := time.Now()
	if c.told.Waiting == 0 && !c.unservedNoted || now.Sub(c.unservedAt) < unservedEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	value, err := json.Marshal(unservedRecord{c.told.Waiting, c.told.Unserved, now.UTC()})
	if err == nil {
		// A stream that happens to take the subject is none of ours.
		_, err = c.in.conn.js.Publish(ctx, c.in.control.subject(unservedKey), value, jetstream.WithExpectStream(bucketStream(c.in.conn.stream(control))))
	}
	c.in.conn.tried("writing which lanes are not served", "", now, err)
	if err == nil {
		c.unservedAt, c.unservedNoted = now, c.told.Waiting > 0
	}
}

// unserved reads the record. One that is old is of a worker that is no more.
func (c *Control) unserved(ctx context.Context) (record unservedRecord, err error) {
	err = retry.Do(ctx, missing, func(ctx context.Context) error {
		msg, err := c.conn.fromLeader(ctx, c.stream(), leaderGet{LastOf: c.subject(unservedKey)})
		if err != nil {
			return err
		}
		if json.Unmarshal(msg.Data, &record) != nil || time.Since(msg.Time) > 12*unservedEvery {
			record = unservedRecord{}
		}
		return nil
	})
	if missing(err) && !hopeless(err) {
		err = nil
	}
	return record, err
}

// Standing is what an intake knows of all lanes of the fleet.
type Standing struct {
	// Lanes are those that hold jobs, whether or not anybody can take them. Only the
	// worker that looks after the lanes knows them; to the others it is empty.
	Lanes []worker.Depth
	// Unserved counts the lanes of which nobody can take a job although their
	// destinations are not shut: Waiting for their turn, Failed for a reason of the
	// queue, which Reason names. Unservable counts the jobs on subjects that no
	// consumer can have.
	Waiting, Failed int
	Reason          string
	Unservable      uint64
}

// Standing gives it.
func (in *Intake) Standing() Standing {
	if s := in.standing.Load(); s != nil {
		return *s
	}
	return Standing{}
}

// stand notes the standing for those who watch this worker.
func (c *coordinator) stand() {
	s := Standing{Unservable: c.unservable, Lanes: make([]worker.Depth, 0, len(c.roster.lanes))}
	for lane, p := range c.roster.lanes {
		if p.jobs > 0 {
			s.Lanes = append(s.Lanes, worker.Depth{Lane: lane, Jobs: p.jobs, Served: p.offered})
		}
	}
	for _, reason := range c.roster.unserved() {
		if reason == reasonTurn {
			s.Waiting++
			continue
		}
		s.Failed++
		s.Reason = reason
	}
	c.in.standing.Store(&s)
}

// whyUnserved is the reason of a lane that holds jobs and has no consumer.
func whyUnserved(record unservedRecord, lane schemas.Lane) string {
	if reason := record.Reasons[lane.Tail()]; reason != "" {
		return reason
	}
	if record.Lanes > 0 {
		return reasonTurn
	}
	return reasonNobody
}

// reasonNobody is that of a lane of which no worker has told: none is alive, or it
// is about to be served.
const reasonNobody = "no_worker_serves_it"

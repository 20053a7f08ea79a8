package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// HeaderBackfill is on a job that a run published, and on the schedules that bring
// it back: "<run>/<line>". A job that a person publishes again has none.
const HeaderBackfill = "Chartpost-Backfill"

// RunJobs publishes the jobs of a run, and finds them in the queue.
type RunJobs struct{ conn *Conn }

var _ backfill.Queue = (*RunJobs)(nil)

// RunJobs gives the publishing side of runs.
func (c *Conn) RunJobs() *RunJobs { return &RunJobs{conn: c} }

// ackWait is how long the answer to a publish is waited for before it is
// published again, under the same id.
const ackWait = 5 * time.Second

// Publish implements backfill.Queue. All are on their way at once.
func (q *RunJobs) Publish(ctx context.Context, run string, jobs []backfill.Job, proceed func() error) error {
	acks := make([]jetstream.PubAckFuture, len(jobs))
	for i, job := range jobs {
		if err := proceed(); err != nil {
			return err
		}
		// One that is not taken now is tried again below.
		acks[i], _ = q.conn.js.PublishMsgAsync(q.message(run, job), jetstream.WithMsgID(messageID(run, job.ID)))
	}
	patience := time.NewTimer(ackWait)
	defer patience.Stop()
	for i, ack := range acks {
		if stored(ctx, ack, patience) {
			continue
		}
		if err := q.again(ctx, run, jobs[i], proceed); err != nil {
			return err
		}
	}
	return nil
}

// messageID differs from the job's id: a job that failed is run again under its
// own id by another run, also while the stream remembers the first.
func messageID(run, jobID string) string { return jobID + "/run/" + run }

func (q *RunJobs) message(run string, job backfill.Job) *nats.Msg {
	lane := schemas.Lane{Class: schemas.Backfill, Destination: job.Destination}
	msg := nats.NewMsg(schemas.JobSubject(q.conn.prefix, lane))
	setLine(msg.Header, worker.Line{Run: run, Number: job.Line})
	msg.Data = job.Data
	return msg
}

// stored tells whether the server has confirmed a publish.
func stored(ctx context.Context, ack jetstream.PubAckFuture, patience *time.Timer) bool {
	if ack == nil {
		return false
	}
	select {
	case <-ack.Ok():
		return true
	case <-ack.Err():
	case <-patience.C:
		patience.Reset(0) // the others' time is over too
	case <-ctx.Done():
	}
	return false
}

func (q *RunJobs) again(ctx context.Context, run string, job backfill.Job, proceed func() error) error {
	refused := error(nil)
	err := insist.Do(ctx, func(err error) bool { return refused != nil || hopeless(err) }, func(ctx context.Context) error {
		if refused = proceed(); refused != nil {
			return refused
		}
		began, id := time.Now(), messageID(run, job.ID)
		_, err := q.conn.js.PublishMsg(ctx, q.message(run, job), jetstream.WithMsgID(id))
		q.conn.tried("publishing jobs", id, began, err)
		return err
	})
	if err != nil {
		return fmt.Errorf("publishing the job of line %d: %w", job.Line, err)
	}
	return nil
}

// Queued implements backfill.Queue. It asks the stream's leader for one job after
// the other, in the stream's order: what is in the queue from the call on, and
// is not taken meanwhile, is found.
func (q *RunJobs) Queued(ctx context.Context, run string, found func(line int64)) error {
	subject := q.conn.prefix + ".jobs." + string(schemas.Backfill) + ".>"
	err := q.each(ctx, subject, func(msg *jetstream.RawStreamMsg) error {
		if line := lineIn(msg.Header); line.Run == run {
			found(line.Number)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for jobs of the run in the queue: %w", err)
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) || hopeless(err) }

package natsq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// HeaderBackfill is on a job that a run published, on the schedules that bring it
// back, and on its dead letters: "<run>/<line>". That of a job that a person published
// again ends with "/replayed".
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
	acks, messages := make([]jetstream.PubAckFuture, len(jobs)), make([]*nats.Msg, len(jobs))
	for i, job := range jobs {
		if err := proceed(); err != nil {
			return err
		}
		messages[i] = q.message(run, job)
		// One that is not taken now is tried again below.
		acks[i], _ = q.conn.js.PublishMsgAsync(messages[i])
	}
	patience := time.NewTimer(ackWait)
	defer patience.Stop()
	for i, ack := range acks {
		if q.stored(ctx, ack, patience) {
			continue
		}
		if err := q.again(ctx, messages[i], jobs[i], proceed); err != nil {
			return err
		}
	}
	return nil
}

// message goes through the stream of due jobs, where submitters may not publish:
// so its line is believed. Its random id lets the stream drop a repeat of the same
// publish.
func (q *RunJobs) message(run string, job backfill.Job) *nats.Msg {
	lane := schemas.Lane{Class: schemas.Backfill, Destination: job.Destination}
	msg := nats.NewMsg(schemas.DueSubject(q.conn.prefix, lane))
	setLine(msg.Header, worker.Line{Run: run, Number: job.Line})
	msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
	msg.Data = job.Data
	return msg
}

// stored reports whether the server has confirmed a publish.
func (q *RunJobs) stored(ctx context.Context, ack jetstream.PubAckFuture, patience *time.Timer) bool {
	if ack == nil {
		return false
	}
	select {
	case took := <-ack.Ok():
		return q.conn.tookIt(took, dueJobs) == nil
	case <-ack.Err():
	case <-patience.C:
		patience.Reset(0) // the others' time is over too
	case <-ctx.Done():
	}
	return false
}

func (q *RunJobs) again(ctx context.Context, msg *nats.Msg, job backfill.Job, proceed func() error) error {
	refused := error(nil)
	err := retry.Do(ctx, func(err error) bool { return refused != nil || hopeless(err) }, func(ctx context.Context) error {
		if refused = proceed(); refused != nil {
			return refused
		}
		began := time.Now()
		ack, err := q.conn.js.PublishMsg(ctx, msg)
		if err == nil {
			err = q.conn.tookIt(ack, dueJobs)
		}
		q.conn.tried("publishing jobs", job.Destination+"/"+job.ID, began, err)
		return err
	})
	if err != nil {
		return fmt.Errorf("publishing the job of line %d: %w", job.Line, err)
	}
	return nil
}

// Queued implements backfill.Queue. It asks the leader of each stream for one job
// after the other, in the stream's order, first of those on their way to their
// lanes: what is in the queue from the call on, and is not taken meanwhile, is found.
func (q *RunJobs) Queued(ctx context.Context, run string, found func(line int64)) error {
	note := func(o origin) error {
		if o.line.Run == run && !o.line.Replayed {
			found(o.line.Number)
		}
		return nil
	}
	class := string(schemas.Backfill)
	err := q.each(ctx, dueJobs, q.conn.prefix+".due."+class+".*", func(msg *jetstream.RawStreamMsg) error {
		return note(q.conn.originInDue(msg.Header))
	})
	if err == nil {
		err = q.each(ctx, jobs, q.conn.prefix+".jobs."+class+".*", func(msg *jetstream.RawStreamMsg) error {
			return note(q.conn.originOf(msg.Header))
		})
	}
	if err != nil {
		return fmt.Errorf("looking for jobs of the run in the queue: %w", err)
	}
	return nil
}

func missing(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) || hopeless(err) }

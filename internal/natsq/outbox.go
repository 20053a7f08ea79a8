package natsq

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Outbox publishes what became of jobs. Events and dead letters have ids, so that
// a publish that is tried again, here or by another worker, is stored once as
// long as the stream remembers ids. Only workers and operators may publish to those
// streams: an acknowledgement that says "duplicate" is of the same message.
type Outbox struct{ conn *Conn }

var _ worker.Outbox = (*Outbox)(nil)

// Outbox gives the publishing side of the connection.
func (c *Conn) Outbox() *Outbox { return &Outbox{conn: c} }

// Tell implements worker.Outbox.
func (o *Outbox) Tell(ctx context.Context, lane schemas.Lane, event schemas.Event) error {
	data, err := event.Encode()
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	msg := traced(ctx, schemas.EventSubject(o.conn.prefix, lane, event.Data.Status))
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	msg.Data = data
	return o.publish(ctx, "publishing events", events, event.ID, msg)
}

const burying = "publishing dead letters"

// Bury implements worker.Outbox.
func (o *Outbox) Bury(ctx context.Context, letter worker.DeadLetter) error {
	msg := traced(ctx, schemas.DeadSubject(o.conn.prefix, letter.Lane))
	for name, value := range map[string]string{
		HeaderJobID:      letter.JobID,
		HeaderAfter:      letter.After,
		HeaderStatus:     string(letter.Status),
		HeaderReasonKind: letter.Reason.Kind,
		HeaderReasonCode: letter.Reason.Code,
		HeaderReasonText: letter.Reason.Text,
		HeaderReasonPath: letter.Reason.Path,
		HeaderReplayID:   rand.Text(),
	} {
		if value != "" {
			msg.Header.Set(name, value)
		}
	}
	if letter.PossibleDuplicate {
		msg.Header.Set(HeaderDuplicate, "true")
	}
	setLine(msg.Header, letter.Line)
	msg.Data = letter.Data
	err := o.publish(ctx, burying, dead, letter.Key, msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		// A message about as large as the server takes leaves no room for
		// headers. The job comes first; the event has the reason.
		msg.Header = nats.Header{}
		err = o.publish(ctx, burying, dead, letter.Key, msg)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		msg.Header = nil
		err = o.publish(ctx, burying, dead, "", msg)
	}
	return err
}

// Later implements worker.Outbox. JetStream fires schedules on whole seconds,
// cut off, and so up to a second early: the time is rounded up. A second
// schedule of the same job replaces the first, so that none needs an id.
func (o *Outbox) Later(ctx context.Context, s worker.Schedule) error {
	msg := traced(ctx, schemas.LaterSubject(o.conn.prefix, s.Key()))
	msg.Header.Set(HeaderAttempt, strconv.Itoa(s.Attempt))
	setLine(msg.Header, s.Line)
	msg.Data = s.Data
	at := s.At.Add(time.Second - 1).Truncate(time.Second)
	return o.retry(ctx, "publishing schedules", s.Key().String(), func(ctx context.Context) error {
		return o.store(ctx, msg, dueJobs,
			jetstream.WithScheduleAt(at),
			jetstream.WithScheduleTarget(schemas.DueSubject(o.conn.prefix, s.Lane)),
		)
	})
}

// Holds implements worker.Outbox.
func (o *Outbox) Holds(ctx context.Context, sequence uint64, stored time.Time, key schemas.JobKey) (held bool, err error) {
	err = o.retry(ctx, "looking for a copy", key.String(), func(ctx context.Context) error {
		held, err = o.holds(ctx, sequence, stored, key)
		return err
	})
	return held, err
}

// holds looks at the recorded copy and at the job's schedule. A copy that a schedule
// has released is in its lane, or about to be, and comes by itself: it is not looked
// for. The server may keep it among the due jobs for a second after it has moved it.
func (o *Outbox) holds(ctx context.Context, sequence uint64, stored time.Time, key schemas.JobKey) (bool, error) {
	copied, err := o.conn.fromLeader(ctx, o.conn.stream(jobs), leaderGet{Sequence: sequence})
	if err == nil && copied.Time.Equal(stored) {
		return true, nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("looking for a copy of a job: %w", err)
	}
	subject := schemas.LaterSubject(o.conn.prefix, key)
	later, err := o.conn.fromLeader(ctx, o.conn.stream(dueJobs), leaderGet{LastOf: subject})
	if err == nil && later.Header.Get(jetstream.ScheduleHeader) != "" {
		return true, nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("looking for a schedule of a job: %w", err)
	}
	return false, nil
}

// errDropped is that of a publish which the stream dropped as the repeat of another
// publisher's message.
var errDropped = errors.New("the queue dropped the message as a repeat of another one with the same Nats-Msg-Id")

// Submit publishes a job, under a random id of the message that nobody can use up
// beforehand. A job that is stored twice, since an acknowledgement was lost, is
// recognized by the ledger.
func (o *Outbox) Submit(ctx context.Context, lane schemas.Lane, jobID string, data []byte) error {
	msg := traced(ctx, schemas.JobSubject(o.conn.prefix, lane))
	msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
	msg.Data = data
	tried := false
	return o.retry(ctx, "publishing jobs", schemas.KeyOf(lane, jobID).String(), func(ctx context.Context) error {
		ack, err := o.conn.js.PublishMsg(ctx, msg)
		if err == nil && ack.Duplicate && !tried {
			err = errDropped
		}
		tried = true
		if err != nil {
			return err
		}
		return o.conn.tookIt(ack, jobs)
	})
}

// Resubmit publishes a job again for an operator, through the stream of due jobs,
// so that the line of a run that it belongs to is believed. A repeat with the same id
// is dropped for as long as the stream remembers ids.
//
// The id must be random: the jobs stream drops a job on its way from the due jobs
// whose id a submitter has used a moment before. Without one a random id is made.
func (o *Outbox) Resubmit(ctx context.Context, lane schemas.Lane, id string, line worker.Line, data []byte) error {
	msg := traced(ctx, schemas.DueSubject(o.conn.prefix, lane))
	line.Replayed = true
	setLine(msg.Header, line)
	msg.Data = data
	return o.publish(ctx, "publishing jobs", dueJobs, cmp.Or(id, rand.Text()), msg)
}

// publish stores a message in a stream under an id, or under none where that is
// empty. what names its kind to the log and to Troubles.
func (o *Outbox) publish(ctx context.Context, what, stream, id string, msg *nats.Msg) error {
	var options []jetstream.PublishOpt
	if id != "" {
		options = append(options, jetstream.WithMsgID(id))
	}
	return o.retry(ctx, what, id, func(ctx context.Context) error { return o.store(ctx, msg, stream, options...) })
}

// store publishes once. An answer of "duplicate" says that the message is there:
// only workers and operators may publish to these streams, under ids of their own.
func (o *Outbox) store(ctx context.Context, msg *nats.Msg, stream string, options ...jetstream.PublishOpt) error {
	ack, err := o.conn.js.PublishMsg(ctx, msg, options...)
	if err != nil {
		return err
	}
	return o.conn.tookIt(ack, stream)
}

// tookIt refuses the acknowledgement of another stream, which happens to take the
// subject. The stream is not named in a header, which would stay on a due job and keep
// it out of the jobs stream.
func (c *Conn) tookIt(ack *jetstream.PubAck, stream string) error {
	if ack.Stream != c.stream(stream) {
		return errOtherStream
	}
	return nil
}

// errOtherStream is that of a message that another stream has taken.
var errOtherStream = errors.New("another stream takes the subject; run chartpost setup")

// retry tries op for as long as ctx allows, and says so when that takes long. The
// error is a *fault.Fault: that of the last try, or where the end of ctx cut that one
// off, of the last that says more.
func (o *Outbox) retry(ctx context.Context, what, id string, op func(context.Context) error) error {
	var telling error
	err := retry.Do(ctx, hopeless, func(ctx context.Context) error {
		began := time.Now()
		err := op(ctx)
		o.conn.tried(what, id, began, err)
		if err != nil && verdictOf(err, false) != away {
			telling = err
		}
		return err
	})
	if err != nil && ctx.Err() != nil && verdictOf(err, false) == away && telling != nil {
		err = telling
	}
	return o.conn.judged(err)
}

// hopeless tells errors that no wait can cure.
func hopeless(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) ||
		errors.Is(err, nats.ErrMsgAlreadyAckd) || errors.Is(err, nats.ErrMsgNoReply) ||
		errors.Is(err, nats.ErrMsgNotBound) || errors.Is(err, nats.ErrBadSubject)
}

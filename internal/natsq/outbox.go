package natsq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Outbox publishes what became of jobs. Every message has an id, so that a
// publish that is tried again, here or by another worker, is stored once as
// long as the stream remembers ids.
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
	return o.publish(ctx, "publishing events", event.ID, msg)
}

const burying = "publishing dead letters"

// Bury implements worker.Outbox.
func (o *Outbox) Bury(ctx context.Context, letter worker.DeadLetter) error {
	msg := traced(ctx, schemas.DeadSubject(o.conn.prefix, letter.Lane))
	for name, value := range map[string]string{
		HeaderJobID:      letter.JobID,
		HeaderStatus:     string(letter.Status),
		HeaderReasonKind: letter.Reason.Kind,
		HeaderReasonCode: letter.Reason.Code,
		HeaderReasonText: letter.Reason.Text,
		HeaderReasonPath: letter.Reason.Path,
	} {
		if value != "" {
			msg.Header.Set(name, value)
		}
	}
	if letter.PossibleDuplicate {
		msg.Header.Set(HeaderDuplicate, "true")
	}
	msg.Data = letter.Data
	err := o.publish(ctx, burying, letter.Key, msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		// A message about as large as the server takes leaves no room for
		// headers. The job comes first; the event has the reason.
		msg.Header = nats.Header{}
		err = o.publish(ctx, burying, letter.Key, msg)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		msg.Header = nil
		err = o.publish(ctx, burying, "", msg)
	}
	return err
}

// Later implements worker.Outbox. JetStream fires schedules on whole seconds,
// cut off, and so up to a second early: the time is rounded up. A second
// schedule of the same job replaces the first. The message's id holds the time:
// a job whose record was deleted counts its attempts anew, and its schedule must
// not be taken for the one that went before.
func (o *Outbox) Later(ctx context.Context, s worker.Schedule) error {
	msg := traced(ctx, schemas.LaterSubject(o.conn.prefix, s.JobID))
	msg.Header.Set(HeaderAttempt, strconv.Itoa(s.Attempt))
	setLine(msg.Header, s.Line)
	msg.Data = s.Data
	at := s.At.Add(time.Second - 1).Truncate(time.Second)
	return o.publish(ctx, "publishing schedules", fmt.Sprintf("later/%s/%d/%d", s.JobID, s.Attempt, at.Unix()), msg,
		jetstream.WithScheduleAt(at),
		jetstream.WithScheduleTarget(schemas.JobSubject(o.conn.prefix, s.Lane)),
	)
}

// Holds implements worker.Outbox.
func (o *Outbox) Holds(ctx context.Context, sequence uint64, stored time.Time, jobID string) (held bool, err error) {
	err = o.insist(ctx, "looking for a copy", jobID, func(ctx context.Context) error {
		held, err = o.holds(ctx, sequence, stored, jobID)
		return err
	})
	return held, err
}

func (o *Outbox) holds(ctx context.Context, sequence uint64, stored time.Time, jobID string) (bool, error) {
	stream, err := o.conn.js.Stream(ctx, o.conn.stream(jobs))
	if err != nil {
		return false, fmt.Errorf("looking for a copy of a job: %w", err)
	}
	copied, err := stream.GetMsg(ctx, sequence)
	if err == nil && copied.Time.Equal(stored) {
		return true, nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("looking for a copy of a job: %w", err)
	}
	later, err := stream.GetLastMsgForSubject(ctx, schemas.LaterSubject(o.conn.prefix, jobID))
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("looking for a schedule of a job: %w", err)
	}
	// Anyone can publish to the subject; only a schedule brings a job back.
	return err == nil && later.Header.Get(jetstream.ScheduleHeader) != "", nil
}

// Submit publishes a job. It reports whether the stream had the id already.
func (o *Outbox) Submit(ctx context.Context, lane schemas.Lane, jobID string, data []byte) (duplicate bool, err error) {
	msg := traced(ctx, schemas.JobSubject(o.conn.prefix, lane))
	msg.Data = data
	err = o.insist(ctx, "publishing jobs", jobID, func(ctx context.Context) error {
		ack, err := o.conn.js.PublishMsg(ctx, msg, jetstream.WithMsgID(jobID))
		if err == nil {
			duplicate = ack.Duplicate
		}
		return err
	})
	return duplicate, err
}

// publish stores a message under an id, or under none where that is empty. what
// names its kind to the log and to Troubles.
func (o *Outbox) publish(ctx context.Context, what, id string, msg *nats.Msg, options ...jetstream.PublishOpt) error {
	if id != "" {
		options = append(options, jetstream.WithMsgID(id))
	}
	return o.insist(ctx, what, id, func(ctx context.Context) error {
		_, err := o.conn.js.PublishMsg(ctx, msg, options...)
		return err
	})
}

// insist tries op for as long as ctx allows, and says so when that takes long.
func (o *Outbox) insist(ctx context.Context, what, id string, op func(context.Context) error) error {
	return insist.Do(ctx, hopeless, func(ctx context.Context) error {
		began := time.Now()
		err := op(ctx)
		o.conn.tried(what, id, began, err)
		return err
	})
}

// hopeless tells errors that no wait can cure.
func hopeless(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) ||
		errors.Is(err, nats.ErrMsgAlreadyAckd) || errors.Is(err, nats.ErrMsgNoReply) ||
		errors.Is(err, nats.ErrMsgNotBound) || errors.Is(err, nats.ErrBadSubject)
}

package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// StoredEvent is an event as the stream has it.
type StoredEvent struct {
	// Sequence is its place in the stream, and Stored the server's time of it.
	Sequence uint64
	Stored   time.Time
	Event    schemas.Event
}

// EventRange is a part of the stream of events: from FromSequence on, else from
// Since, else from the first; before Until, where that is set.
type EventRange struct {
	EventSelection

	FromSequence uint64
	Since, Until time.Time
}

// ErrBeyond refuses a range that begins behind the next event: what it goes on from
// was another stream, or this one before it was made anew.
var ErrBeyond = errors.New("the events end before the sequence to begin at, so that the stream was made anew or is another")

// Events calls each for the events of a range that are there when it begins,
// with the message as it was published, until each returns false. It holds a few
// hundred events at a time. unreadable counts those that are no events: they are
// passed over.
func (c *Conn) Events(ctx context.Context, of EventRange, each func(e StoredEvent, data []byte) bool) (unreadable int, err error) {
	last, err := c.lastSequence(ctx, events)
	if err == nil && of.FromSequence > last+1 {
		err = fmt.Errorf("%w: the last one is %d", ErrBeyond, last)
	}
	if err != nil || last == 0 {
		return 0, err
	}
	r := &reading{
		conn: c, stream: events, what: "the events", filters: of.subjects(c.prefix),
		fromSequence: of.FromSequence, since: of.Since, until: of.Until, last: last,
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			event, err := schemas.DecodeEvent(msg.Data())
			if err != nil {
				unreadable++
				return true
			}
			return each(StoredEvent{meta.Sequence.Stream, meta.Timestamp.UTC(), event}, msg.Data())
		},
	}
	return unreadable, r.run(ctx)
}

// lastSequence is that of the newest message of a stream; 0 where none was ever
// stored. A JetStream that does not answer, or does not let this user ask, is asked
// for up to a minute.
func (c *Conn) lastSequence(ctx context.Context, name string) (last uint64, err error) {
	missing := func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) || hopeless(err) }
	err = c.await(ctx, c.stream(name), startPatience, missing, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, c.stream(name))
		if err == nil {
			last = stream.CachedInfo().State.LastSeq
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", titleOf(c.stream(name)), err)
	}
	return last, nil
}

// EventScan looks for the events of one job within a range. Subjects do not hold
// job ids: the server sends the headers of all events of the range, about 120
// bytes each, and the Nats-Msg-Id among them begins with the job's key. Without a
// destination it looks for the job of that id at all of them.
type EventScan struct {
	EventRange

	JobID string
	// StopAt ends the scan at the job's first event of that status; empty does not.
	StopAt schemas.Status
}

// Scan does so, and tells how many headers it read.
func (c *Conn) Scan(ctx context.Context, scan EventScan) (found []StoredEvent, read int, err error) {
	var sequences []uint64
	r := &reading{
		conn: c, stream: events, what: "the events", filters: scan.subjects(c.prefix), headersOnly: true,
		fromSequence: scan.FromSequence, since: scan.Since, until: scan.Until,
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			read++
			key, ok := schemas.KeyOfEvent(msg.Headers().Get(jetstream.MsgIDHeader))
			if !ok || key.ID != scan.JobID {
				return true // the destination is in the filter
			}
			sequences = append(sequences, meta.Sequence.Stream)
			return scan.StopAt == "" || !strings.HasSuffix(msg.Subject(), "."+string(scan.StopAt))
		},
	}
	if err := r.run(ctx); err != nil {
		return nil, read, err
	}
	for _, sequence := range sequences {
		e, err := c.event(ctx, sequence)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, errNoEvent):
		case err != nil:
			return nil, read, err
		case e.Event.Data.JobID == scan.JobID:
			found = append(found, e)
		}
	}
	return found, read, nil
}

var errNoEvent = errors.New("the message is no event")

func (c *Conn) event(ctx context.Context, sequence uint64) (e StoredEvent, err error) {
	gone := func(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) || hopeless(err) }
	var msg *jetstream.RawStreamMsg
	err = retry.Do(ctx, gone, func(ctx context.Context) error {
		msg, err = c.fromLeader(ctx, c.stream(events), leaderGet{Sequence: sequence})
		return err
	})
	if err != nil {
		return e, err
	}
	event, err := schemas.DecodeEvent(msg.Data)
	if err != nil {
		return e, errNoEvent
	}
	return StoredEvent{sequence, msg.Time.UTC(), event}, nil
}

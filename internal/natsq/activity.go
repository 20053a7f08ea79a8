package natsq

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// End is the end of a job: an event after which nothing more happens by itself.
type End struct {
	Sequence uint64
	At       time.Time
	Lane     schemas.Lane
	Status   schemas.Status
}

// finals are the statuses after which nothing more happens by itself.
var finals = []schemas.Status{schemas.StatusAccepted, schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusDuplicate, schemas.StatusCancelled}

// Ends lists the ends of jobs from a sequence of the events on, or where that is 0 from a
// time on. It reads headers alone, some 120 bytes each.
func (c *Conn) Ends(ctx context.Context, from uint64, since time.Time) (ends []End, err error) {
	r := &reading{
		conn: c, stream: events, what: "the ends of jobs", filters: EventSelection{Statuses: finals}.subjects(c.prefix), headersOnly: true,
		fromSequence: from, since: since,
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			tail := strings.TrimPrefix(msg.Subject(), c.prefix+".events.")
			at := strings.LastIndexByte(tail, '.')
			if lane, err := schemas.ParseTail(tail[:max(at, 0)]); err == nil {
				ends = append(ends, End{meta.Sequence.Stream, meta.Timestamp.UTC(), lane, schemas.Status(tail[at+1:])})
			}
			return true
		},
	}
	return ends, r.run(ctx)
}

// Stock is how much a stream holds.
type Stock struct {
	Messages, Last uint64
}

// Stocks are those of the dead letters and of the schedules, which hold the jobs that wait
// for their next attempt.
func (c *Conn) Stocks(ctx context.Context) (letters, schedules Stock, err error) {
	for name, into := range map[string]*Stock{dead: &letters, dueJobs: &schedules} {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		stream, err := c.js.Stream(ctx, c.stream(name))
		cancel()
		if err != nil {
			return letters, schedules, fmt.Errorf("%s: %w", titleOf(c.stream(name)), err)
		}
		state := stream.CachedInfo().State
		*into = Stock{state.Msgs, state.LastSeq}
	}
	return letters, schedules, nil
}

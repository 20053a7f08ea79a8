package natsq

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// What is here needs no right to make consumers: it is for watchers.

// WatchLive calls each for the selected events as they are published, until each
// returns false or ctx ends. started is called once the subscription stands. What is
// published while the connection is lost, or faster than each takes it, is missed; the
// log says so.
func (c *Conn) WatchLive(ctx context.Context, of EventSelection, started func() error, each func(schemas.Event) bool) error {
	came := make(chan *nats.Msg, mostUnread)
	for _, subject := range of.subjects(c.prefix) {
		sub, err := c.nc.ChanSubscribe(subject, came)
		if err != nil {
			return fmt.Errorf("listening to the events: %w", err)
		}
		defer sub.Unsubscribe()
	}
	if err := c.nc.FlushTimeout(apiTimeout); err != nil {
		return fmt.Errorf("listening to the events: %w", err)
	}
	if err := started(); err != nil {
		return err
	}
	life := c.life()
	for {
		select {
		case <-ctx.Done():
			return nil
		case msg := <-came:
			if now := c.life(); now != life {
				life = now
				c.log.Warn("the connection was lost meanwhile: events may have been missed")
			}
			if event, ok := c.readEvent(msg.Subject, msg.Data); ok && !each(event) {
				return nil
			}
		}
	}
}

// mostUnread is how many events may wait for a reader who listens; what comes then is
// dropped, and the log says so.
const mostUnread = 64 << 10

func (c *Conn) readEvent(subject string, data []byte) (schemas.Event, bool) {
	event, err := schemas.DecodeEvent(data)
	if err != nil {
		c.log.Warn("an event that cannot be read was passed over", "subject", subject)
	}
	return event, err == nil
}

// ReadSubscription calls each for every event of a subscription that an operator made,
// until each returns false or ctx ends, and acknowledges those for which it returned
// true. An event may come twice where the connection was lost, never too seldom. It
// outlives a server that goes away and comes back.
func (c *Conn) ReadSubscription(ctx context.Context, name string, each func(schemas.Event) bool) error {
	gone := func(err error) bool {
		return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted) || hopeless(err)
	}
	for first := true; ; first = false {
		var consumer jetstream.Consumer
		open := func(ctx context.Context) (err error) {
			consumer, err = c.js.Consumer(ctx, c.stream(events), name)
			return err
		}
		var err error
		if first { // what is refused is told at once
			err = open(ctx)
		} else {
			err = retry.Do(ctx, gone, open)
		}
		enough := false
		if err == nil {
			enough, err = c.pullEvents(ctx, consumer, each)
		}
		switch {
		case enough || ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return ErrNoSubscription
		case first && consumer == nil, gone(err):
			return fmt.Errorf("reading the subscription: %w", err)
		}
		c.log.Info("reading the subscription was interrupted and goes on", "error", reasonOf(err))
	}
}

// pullBatch is how many events may be on their way to a reader at once.
const pullBatch = 100

// pullEvents reads until each has had enough, or an error.
func (c *Conn) pullEvents(ctx context.Context, consumer jetstream.Consumer, each func(schemas.Event) bool) (enough bool, err error) {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullBatch), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return false, err
		}
		if event, ok := c.readEvent(msg.Subject(), msg.Data()); ok && !each(event) {
			return true, nil
		}
		if err := msg.Ack(); err != nil {
			return false, err
		}
	}
}

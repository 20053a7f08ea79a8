package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// Watch calls each for every event published from since on, in order, until
// each returns false or ctx ends. lane narrows it to one lane; nil takes all.
// started is called once the subscription stands: what is published after it is
// seen. Watch leaves nothing behind on the server.
func (c *Conn) Watch(ctx context.Context, lane *schemas.Lane, since time.Time, started func() error, each func(schemas.Event) bool) error {
	filter := c.prefix + ".events.>"
	if lane != nil {
		filter = schemas.EventSubject(c.prefix, *lane, "*")
	}
	consumer, err := c.js.OrderedConsumer(ctx, c.stream(events), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter},
		DeliverPolicy:  jetstream.DeliverByStartTimePolicy,
		OptStartTime:   &since,
	})
	if err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	defer messages.Stop()
	if err := started(); err != nil {
		return err
	}
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoHeartbeat):
			continue
		case err != nil:
			return fmt.Errorf("following the events: %w", err)
		}
		event, err := schemas.DecodeEvent(msg.Data())
		if err != nil {
			c.log.Warn("an event that cannot be read was passed over", "subject", msg.Subject())
			continue
		}
		if !each(event) {
			return nil
		}
	}
}

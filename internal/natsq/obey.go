package natsq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// metaConcurrency is on a lane's consumer and holds the setting of its makers,
// so that whoever ends a limit knows what to go back to.
const metaConcurrency = "chartpost.concurrency"

// obey makes the lane's consumer do what the lane's record says, which was state
// a moment ago.
func (c *Control) obey(ctx context.Context, state worker.LaneState) error {
	tried := false
	err := insist.Do(ctx, hopeless, func(ctx context.Context) (err error) {
		if tried {
			if state, err = c.read(ctx, state.Lane); err != nil {
				return err
			}
		}
		tried = true
		return c.steady(ctx, state, c.apply)
	})
	if err != nil {
		return fmt.Errorf("making the queue obey the state of lane %s: %w", state.Lane.Name(), err)
	}
	return nil
}

// steady applies a lane's state, and again, until its record is the same before
// and after: whoever applies last then has applied the record that stands, and
// no consumer stays paused by a state that is no more.
func (c *Control) steady(ctx context.Context, state worker.LaneState, apply func(context.Context, worker.LaneState) error) error {
	for {
		if err := apply(ctx, state); err != nil {
			return err
		}
		after, err := c.read(ctx, state.Lane)
		if err != nil {
			return err
		}
		if after.Revision == state.Revision {
			return nil
		}
		state = after
	}
}

// apply sets an existing consumer. What is made later is made with the state.
//
// The pause comes last, since an update of the consumer may undo one that is
// set at the same moment, and is sent even where it seems to be set: in a
// cluster the consumer tells of it a little later.
func (c *Control) apply(ctx context.Context, state worker.LaneState) error {
	stream, name := c.conn.stream(jobs), consumerName(state.Lane)
	consumer, err := c.conn.js.Consumer(ctx, stream, name)
	if err == nil {
		config := consumer.CachedInfo().Config
		if n := concurrency(config, state.Limit); n != config.MaxAckPending {
			config.MaxAckPending = n
			_, err = c.conn.js.UpdateConsumer(ctx, stream, config)
		}
	}
	if err == nil {
		err = c.conn.pause(ctx, state.Lane, state.ShutUntil())
	}
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDoesNotExist) {
		return nil
	}
	return err
}

// concurrency is how many jobs the fleet may have in hand.
func concurrency(config jetstream.ConsumerConfig, limit int) int {
	if limit > 0 {
		return limit
	}
	if n, err := strconv.Atoi(config.Metadata[metaConcurrency]); err == nil && n > 0 {
		return n
	}
	return config.MaxAckPending
}

// pause makes a lane's consumer hold everything back until a time; the zero time
// ends that.
func (c *Conn) pause(ctx context.Context, lane schemas.Lane, until time.Time) (err error) {
	if until.IsZero() {
		_, err = c.js.ResumeConsumer(ctx, c.stream(jobs), consumerName(lane))
	} else {
		_, err = c.js.PauseConsumer(ctx, c.stream(jobs), consumerName(lane), until)
	}
	return err
}

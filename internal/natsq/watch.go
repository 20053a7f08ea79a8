package natsq

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
)

// watchIdle is after how long the server removes the consumer of a Watch that
// could not do so itself.
const watchIdle = time.Minute

// Watch calls each for every event published from since on, in order, until
// each returns false or ctx ends. lane narrows it to one lane; nil takes all.
// started is called once the subscription stands: what is published after it is
// seen. Watch outlives a server that goes away and comes back, and leaves
// nothing behind on the server.
//
// It does not use the library's ordered consumer, which cannot be stopped while
// the server is away and leaves its consumers to time out.
func (c *Conn) Watch(ctx context.Context, lane *schemas.Lane, since time.Time, started func() error, each func(schemas.Event) bool) error {
	w := &watch{conn: c, filter: c.prefix + ".events.>", since: since, each: each}
	if lane != nil {
		w.filter = schemas.EventSubject(c.prefix, *lane, "*")
	}
	consumer, err := w.open(ctx)
	if err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	defer func() { w.remove(ctx, consumer) }()
	if err := started(); err != nil {
		return err
	}
	for {
		over, err := w.follow(ctx, consumer)
		if over || ctx.Err() != nil {
			return nil
		}
		c.log.Info("following the events was interrupted and goes on", "error", reasonOf(err))
		w.remove(ctx, consumer)
		err = insist.Do(ctx, hopeless, func(ctx context.Context) error {
			consumer, err = w.open(ctx)
			return err
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("following the events: %w", err)
		}
	}
}

// watch is where a Watch has come to.
type watch struct {
	conn   *Conn
	filter string
	since  time.Time
	each   func(schemas.Event) bool
	// seen is the stream sequence of the last event, 0 before the first.
	seen uint64
}

// open makes a consumer that starts behind the last event seen.
func (w *watch) open(ctx context.Context) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		FilterSubject:     w.filter,
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverByStartTimePolicy,
		OptStartTime:      &w.since,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: watchIdle,
	}
	if w.seen > 0 {
		config.DeliverPolicy, config.OptStartTime, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, w.seen+1
	}
	return w.conn.js.CreateConsumer(ctx, w.conn.stream(events), config)
}

// remove is for tidiness: the server does the same after watchIdle.
func (w *watch) remove(ctx context.Context, consumer jetstream.Consumer) {
	if consumer == nil || !w.conn.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = w.conn.js.DeleteConsumer(ctx, w.conn.stream(events), consumer.CachedInfo().Name)
}

// follow reads events until each has had enough (over), ctx ends, or events
// may have been lost on the way: after a reconnect, and where the consumer's
// own count has a gap.
func (w *watch) follow(ctx context.Context, consumer jetstream.Consumer) (over bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broken := w.conn.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer w.conn.nc.RemoveStatusListener(broken)
	go func() {
		select {
		case <-broken:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	if !w.conn.Connected() {
		return false, nats.ErrDisconnected
	}
	messages, err := consumer.Messages(jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	for count := uint64(1); ; count++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return false, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return false, err
		}
		if meta.Sequence.Consumer != count {
			return false, fmt.Errorf("%d events were lost on the way", meta.Sequence.Consumer-count)
		}
		w.seen = meta.Sequence.Stream
		event, err := schemas.DecodeEvent(msg.Data())
		if err != nil {
			w.conn.log.Warn("an event that cannot be read was passed over", "subject", msg.Subject())
			continue
		}
		if !w.each(event) {
			return true, nil
		}
	}
}

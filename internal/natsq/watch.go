package natsq

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// Watch calls each for every event published from since on, in order, until
// each returns false or ctx ends. A zero since stands for the moment of the call by
// the stream's own order, whatever the clocks say. lane narrows it to one lane; nil takes all.
// started is called once the subscription stands: what is published after it is
// seen. Watch outlives a server that goes away and comes back, and leaves
// nothing behind on the server.
func (c *Conn) Watch(ctx context.Context, lane *schemas.Lane, since time.Time, started func() error, each func(schemas.Event) bool) error {
	var of EventSelection
	if lane != nil {
		of.Class, of.Destination = lane.Class, lane.Destination
	}
	return c.WatchSelected(ctx, of, since, started, each)
}

// WatchSelected does as Watch does with the selected events.
func (c *Conn) WatchSelected(ctx context.Context, of EventSelection, since time.Time, started func() error, each func(schemas.Event) bool) error {
	w := &watch{conn: c, filters: of.subjects(c.prefix), since: since, each: each}
	if since.IsZero() {
		last, err := c.lastSequence(ctx, events)
		if err != nil {
			return err
		}
		w.seen = last
	}
	t := &tail{conn: c, stream: c.stream(events), what: "the events", config: w.config, each: w.take}
	return t.run(ctx, started)
}

// watch is where a Watch has come to.
type watch struct {
	conn    *Conn
	filters []string
	since   time.Time
	each    func(schemas.Event) bool
	// seen is the stream sequence of the last event; 0 before the first of a Watch
	// that has a since.
	seen uint64
}

// config starts a consumer behind the last event seen.
func (w *watch) config() jetstream.ConsumerConfig {
	if w.seen > 0 || w.since.IsZero() {
		return jetstream.ConsumerConfig{
			FilterSubjects: w.filters, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.seen + 1,
		}
	}
	return jetstream.ConsumerConfig{
		FilterSubjects: w.filters, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &w.since,
	}
}

func (w *watch) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	w.seen = meta.Sequence.Stream
	event, err := schemas.DecodeEvent(msg.Data())
	if err != nil {
		w.conn.log.Warn("an event that cannot be read was passed over", "subject", msg.Subject())
		return true
	}
	return w.each(event)
}

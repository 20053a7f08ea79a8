package natsq

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// reading reads what a stream holds, in order, from a point on to its end, and
// keeps none of it.
type reading struct {
	conn *Conn
	// stream has no prefix; what names its content to the log.
	stream, what string
	filters      []string
	// fromSequence goes before since; where both are zero it begins at the first
	// message.
	fromSequence uint64
	since        time.Time
	// until and last end the reading before what was stored at until or later, and
	// after what has the sequence last or a later one; zero is the end of the
	// stream.
	until time.Time
	last  uint64
	// headersOnly leaves the content on the server.
	headersOnly bool
	// each takes a message, until it returns false.
	each func(msg jetstream.Msg, meta *jetstream.MsgMetadata) (more bool)

	seen     uint64
	complete bool
}

// run ends with nil when the end was reached or each had enough.
func (r *reading) run(ctx context.Context) error { return r.runIn(ctx, r.conn.stream(r.stream)) }

// runIn does so with a stream of that whole name.
func (r *reading) runIn(ctx context.Context, stream string) error {
	t := &tail{conn: r.conn, stream: stream, what: r.what, config: r.config, listing: r, each: r.take}
	if err := t.run(ctx, func() error { return nil }); err != nil {
		return err
	}
	if !r.complete {
		return fmt.Errorf("reading %s: %w", r.what, context.Cause(ctx))
	}
	return nil
}

func (r *reading) config() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{FilterSubjects: r.filters, DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: r.headersOnly}
	switch {
	case r.seen > 0 || r.fromSequence > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, max(r.seen+1, r.fromSequence)
	case !r.since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	return config
}

func (r *reading) begin(waiting uint64) bool { return waiting > 0 || r.end() }
func (r *reading) listing() bool             { return true }
func (r *reading) end() bool                 { r.complete = true; return false }

func (r *reading) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	r.seen = meta.Sequence.Stream
	if r.last > 0 && r.seen > r.last || !r.until.IsZero() && !meta.Timestamp.Before(r.until) {
		return r.end()
	}
	if !r.each(msg, meta) || meta.NumPending == 0 || r.seen == r.last {
		return r.end()
	}
	return true
}

// EventSelection says which events; what is empty selects all.
type EventSelection struct {
	Class       schemas.Class
	Destination string
	Statuses    []schemas.Status
}

// Wants tells whether an event is selected.
func (s EventSelection) Wants(d schemas.EventData) bool {
	status := len(s.Statuses) == 0
	for _, one := range s.Statuses {
		status = status || one == d.Status
	}
	return status && (s.Class == "" || s.Class == d.Class) && (s.Destination == "" || s.Destination == d.Destination)
}

// subjects are those of the selected events; the server passes over the others.
func (s EventSelection) subjects(prefix string) []string {
	lane := prefix + ".events." + orAny(string(s.Class)) + "." + orAny(schemas.Token(s.Destination)) + "."
	if len(s.Statuses) == 0 {
		return []string{lane + "*"}
	}
	var all []string
	for _, status := range s.Statuses {
		all = append(all, lane+string(status))
	}
	return all
}

func orAny(token string) string {
	if token == "" {
		return "*"
	}
	return token
}

package natsq

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/schemas"
)

// RunEvents follows what became of the jobs of a run.
type RunEvents struct{ conn *Conn }

var _ backfill.Events = (*RunEvents)(nil)

// RunEvents gives the events to runs.
func (c *Conn) RunEvents() *RunEvents { return &RunEvents{conn: c} }

// runStatuses are the events a run is interested in.
var runStatuses = []schemas.Status{
	schemas.StatusAccepted, schemas.StatusFailed, schemas.StatusUnknown, schemas.StatusDuplicate, schemas.StatusCancelled,
}

// Follow implements backfill.Events.
func (e *RunEvents) Follow(ctx context.Context, run string, after uint64, since time.Time, caughtUp func() bool, each func(uint64, *schemas.Event)) error {
	f := &runFollowing{conn: e.conn, run: []byte(`"` + run + `"`), seen: after, since: since, caughtUp: caughtUp, each: each}
	stream, err := e.conn.js.Stream(ctx, e.conn.stream(events))
	if err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	if stream.CachedInfo().State.LastSeq < after { // a stream made anew
		f.seen = 0
	}
	t := &tail{conn: e.conn, stream: e.conn.stream(events), what: "the events", config: f.config, listing: f, each: f.take}
	if err := t.run(ctx, func() error { return nil }); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// runFollowing is where a Follow has come to.
type runFollowing struct {
	conn *Conn
	// run is the run's name as JSON.
	run   []byte
	seen  uint64
	since time.Time
	// left is how many of the events that were there have still to come; told
	// that caughtUp was called.
	left     uint64
	told     bool
	caughtUp func() bool
	each     func(uint64, *schemas.Event)
}

func (f *runFollowing) config() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &f.since}
	if f.seen > 0 {
		config = jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.seen + 1}
	}
	for _, status := range runStatuses {
		config.FilterSubjects = append(config.FilterSubjects, f.conn.prefix+".events."+string(schemas.Backfill)+".*."+string(status))
	}
	return config
}

func (f *runFollowing) begin(waiting uint64) bool {
	f.left = waiting
	return waiting > 0 || f.told || f.end()
}

func (f *runFollowing) listing() bool { return !f.told }

func (f *runFollowing) end() bool {
	f.told = true
	return f.caughtUp()
}

func (f *runFollowing) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	f.seen = meta.Sequence.Stream
	f.each(f.seen, f.event(msg))
	if f.told {
		return true
	}
	if f.left--; f.left > 0 && meta.NumPending > 0 {
		return true
	}
	return f.end()
}

// event is nil for what is not of the run: most of it is not looked into.
func (f *runFollowing) event(msg jetstream.Msg) *schemas.Event {
	if !bytes.Contains(msg.Data(), f.run) {
		return nil
	}
	event, err := schemas.DecodeEvent(msg.Data())
	if err != nil {
		f.conn.log.Warn("an event that cannot be read was passed over", "subject", msg.Subject())
		return nil
	}
	return &event
}

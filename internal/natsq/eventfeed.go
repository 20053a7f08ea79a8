package natsq

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// EventFeed is a part of the events, to be followed without end.
type EventFeed struct {
	Classes []schemas.Class
	// Destinations and Statuses are all where they are empty.
	Destinations []string
	Statuses     []schemas.Status
	// After is the sequence of the last event that was seen; 0 begins with the next one
	// that is stored.
	After uint64
}

// mostFilters bounds what the server compares with every event; more destinations are
// picked out here.
const mostFilters = 64

// FollowEvents calls each for the events of a feed, with their place in the stream, until
// it returns false or ctx ends. started is told after which event it begins: another than
// After where the stream ends before that, as one does that was made again.
func (c *Conn) FollowEvents(ctx context.Context, of EventFeed, started func(after uint64) error, each func(StoredEvent, []byte) bool) error {
	last, err := c.lastSequence(ctx, events)
	if err != nil {
		return err
	}
	if of.After == 0 || of.After > last {
		of.After = last
	}
	wants := of.wants()
	seen := of.After
	t := &tail{
		conn: c, stream: c.stream(events), what: "the events",
		config: func() jetstream.ConsumerConfig {
			return jetstream.ConsumerConfig{FilterSubjects: of.filters(c.prefix), DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: seen + 1}
		},
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			seen = meta.Sequence.Stream
			event, err := schemas.DecodeEvent(msg.Data())
			if err != nil || !wants(event.Data) {
				return true
			}
			return each(StoredEvent{seen, meta.Timestamp.UTC(), event}, msg.Data())
		},
	}
	if err := t.run(ctx, func() error { return started(of.After) }); err != nil {
		return fmt.Errorf("following the events: %w", err)
	}
	return nil
}

// filters are subjects that do not overlap, which JetStream demands. Where there would be too
// many, they name no status, and then nothing at all.
func (f EventFeed) filters(prefix string) []string {
	classes, destinations, statuses := orAll(f.Classes), orAll(f.Destinations), orAll(f.Statuses)
	if len(classes)*len(destinations)*len(statuses) > mostFilters {
		statuses = orAll[schemas.Status](nil)
	}
	if len(classes)*len(destinations) > mostFilters {
		return []string{prefix + ".events.>"}
	}
	var all []string
	for _, class := range classes {
		for _, destination := range destinations {
			for _, status := range statuses {
				all = append(all, prefix+".events."+orAny(string(class))+"."+orAny(schemas.Token(destination))+"."+orAny(string(status)))
			}
		}
	}
	return all
}

// orAll gives each value once, and for none an empty one, which stands for any.
func orAll[T comparable](list []T) (each []T) {
	seen := map[T]bool{}
	for _, one := range list {
		if !seen[one] {
			seen[one], each = true, append(each, one)
		}
	}
	if len(each) == 0 {
		return make([]T, 1)
	}
	return each
}

// wants picks out what the filters let through.
func (f EventFeed) wants() func(schemas.EventData) bool {
	classes, destinations, statuses := setOf(f.Classes), setOf(f.Destinations), setOf(f.Statuses)
	return func(d schemas.EventData) bool {
		return (classes == nil || classes[d.Class]) && (destinations == nil || destinations[d.Destination]) && (statuses == nil || statuses[d.Status])
	}
}

func setOf[T comparable](list []T) map[T]bool {
	if len(list) == 0 {
		return nil
	}
	set := make(map[T]bool, len(list))
	for _, one := range list {
		set[one] = true
	}
	return set
}

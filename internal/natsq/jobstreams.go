package natsq

import (
	"cmp"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Limits of nats-server 2.15: without a positive limit of its own a stream takes
// 1,000 consumers (error 10026).
const (
	// defaultLanes is how many lanes of a fleet have a consumer at once.
	defaultLanes = 500
	// spareConsumers is room beside the lanes', for an operator's own tools.
	spareConsumers = 16
	// dueConsumers is for the source of the jobs stream. The server makes it again
	// when a leader goes, before the old one is gone.
	dueConsumers = 64
	// readConsumers bounds the readers of a stream or bucket: two per worker, one per
	// subscription or command.
	readConsumers = 10_000
)

// jobsWindow is how long the jobs stream remembers a Nats-Msg-Id: the least that the
// server takes. An id that a stranger has used says nothing then. The ledger
// recognizes repeats.
const jobsWindow = 100 * time.Millisecond

func (l Layout) lanes() int { return cmp.Or(l.Lanes, defaultLanes) }

// jobsStream is where submitters publish. It takes nothing but plain messages: a
// stream with schedules would take rollups too, and one message of any submitter
// could empty it.
func (c *Conn) jobsStream(l Layout) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        c.stream(jobs),
		Description: "Chartpost: jobs waiting in their lanes",
		// Named one by one, so that a publisher that misspells a class is told at
		// once.
		Subjects: []string{c.prefix + ".jobs.live.*", c.prefix + ".jobs.backfill.*"},
		Sources: []*jetstream.StreamSource{{
			Name: c.stream(dueJobs),
			SubjectTransforms: []jetstream.SubjectTransformConfig{{
				Source: c.prefix + ".due.*.*", Destination: c.prefix + ".jobs.{{wildcard(1)}}.{{wildcard(2)}}",
			}},
		}},
		Retention:  jetstream.WorkQueuePolicy,
		Discard:    jetstream.DiscardNew,
		Storage:    jetstream.FileStorage,
		Replicas:   l.Replicas,
		Duplicates: jobsWindow,
		// Whether a copy of a job is still there is a question for the leader: a
		// replica may lag.
		AllowDirect:  false,
		DenyPurge:    true,
		MaxConsumers: l.lanes() + spareConsumers,
		// New jobs are noticed by their headers; content stays in the stream.
		RePublish: &jetstream.RePublish{
			Source: c.prefix + ".jobs.*.*", Destination: c.newSubject("{{wildcard(1)}}.{{wildcard(2)}}"), HeadersOnly: true,
		},
	}
}

// newSubject is where the server tells of a job that was stored in a lane.
func (c *Conn) newSubject(tail string) string { return c.prefix + ".new." + tail }

// dueStream holds the schedules of jobs that wait, and due jobs on the way to their
// lanes: the jobs stream takes them from here. Only workers and operators may
// publish to it. Its name sorts before that of the jobs stream: a server recovers
// streams in that order, and finds the source at once.
func (c *Conn) dueStream(l Layout) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        c.stream(dueJobs),
		Description: "Chartpost: schedules that bring jobs back, and due jobs on the way to their lanes",
		Subjects:    []string{c.prefix + ".later.*.*", c.prefix + ".due.live.*", c.prefix + ".due.backfill.*"},
		Retention:   jetstream.WorkQueuePolicy,
		// The server excludes "discard new" beside schedules (error 10052). Without
		// any limit nothing is discarded.
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        l.Duplicates,
		AllowMsgSchedules: true,
		MaxConsumers:      dueConsumers,
	}
}

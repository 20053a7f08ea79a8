package natsq

import (
	"cmp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// Layout is how the streams and buckets are kept.
type Layout struct {
	// Replicas is 1, 3 or 5.
	Replicas int
	// EventsBytes caps the events on disk, oldest out first; 0 is no cap. The
	// jobs have no cap of their own: the limit of the account refuses publishers,
	// and loses nothing.
	EventsBytes int64
	// EventsAge, DeadAge and AuditAge are how long entries are kept; 0 is for
	// ever.
	EventsAge, DeadAge, AuditAge time.Duration
	// LedgerAge is how long the ledger keeps the record of a job that has ended,
	// in whole seconds. That of a job under way is kept for LedgerOpenAge, or for
	// LedgerAge where that is longer. Both begin with the record's last change.
	LedgerAge, LedgerOpenAge time.Duration
	// Duplicates is how long the id of a message of a worker or operator is
	// remembered. It must outlast every retry of a publish. Ids of submitters are not
	// remembered.
	Duplicates time.Duration
	// Lanes is how many lanes of the fleet have a consumer at once; 0 is 500.
	Lanes int
}

func (c *Conn) streams(l Layout) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		c.dueStream(l),
		c.jobsStream(l),
		{
			Name:         c.stream(events),
			Description:  "Chartpost: what became of jobs, as CloudEvents",
			Subjects:     []string{c.prefix + ".events.*.*.*"},
			Storage:      jetstream.FileStorage,
			Replicas:     l.Replicas,
			MaxBytes:     unlimited(l.EventsBytes),
			MaxAge:       l.EventsAge,
			Duplicates:   l.Duplicates,
			AllowDirect:  true,
			MaxConsumers: readConsumers,
		},
		{
			Name:         c.stream(dead),
			Description:  "Chartpost: jobs that need a person, as they came, with the reason in headers",
			Subjects:     []string{c.prefix + ".dead.*.*"},
			Storage:      jetstream.FileStorage,
			Replicas:     l.Replicas,
			MaxAge:       l.DeadAge,
			Duplicates:   l.Duplicates,
			AllowDirect:  true,
			MaxConsumers: readConsumers,
		},
		{
			Name:         c.stream(audit),
			Description:  "Chartpost: what operators did, as CloudEvents",
			Subjects:     []string{c.prefix + ".audit.*"},
			Storage:      jetstream.FileStorage,
			Replicas:     l.Replicas,
			MaxAge:       l.AuditAge,
			Duplicates:   l.Duplicates,
			AllowDirect:  true,
			MaxConsumers: readConsumers,
			// Nobody takes back what is written: both can be allowed again only by
			// making the stream anew.
			DenyDelete: true,
			DenyPurge:  true,
		},
	}
}

// buckets are the streams that keep the buckets.
func (c *Conn) buckets(l Layout) []jetstream.StreamConfig {
	records := bucketConfig(c.stream(ledger), "Chartpost: per job, what is already done", max(l.LedgerAge, l.LedgerOpenAge), l.Replicas)
	// No mark is left in place of what has expired: the key is gone.
	records.AllowMsgTTL = true
	records.Metadata = map[string]string{metaEndedAge: l.LedgerAge.String()}
	// Records leave for the archive without a mark in their place: each key of a
	// bucket costs the server memory, and a mark as much as a record.
	records.DenyDelete = false
	settings := bucketConfig(c.stream(control), "Chartpost: lane settings, request budget, backfill runs", 0, l.Replicas)
	// The record of a worker ends with the worker.
	settings.AllowMsgTTL = true
	return []jetstream.StreamConfig{records, settings, c.claimsBucket(l)}
}

// archive is the stream to which the records of accepted jobs go.
func (c *Conn) archive(l Layout) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:              c.stream(ended),
		Description:       "Chartpost: records of jobs that were accepted, packed",
		Subjects:          []string{c.archivePrefix() + ".chunk.*.*", c.archivePrefix() + ".page.*"},
		MaxMsgsPerSubject: 1,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        2 * time.Minute,
		// Nothing consumes it.
		MaxConsumers: 4,
		// A lookup is a question for the leader: a replica that lags would let a
		// job be sent twice.
		AllowDirect: false,
		DenyPurge:   true,
	}
	// Where ended records have no age of their own, they have that of all.
	if age := cmp.Or(l.LedgerAge, l.LedgerOpenAge); age > 0 {
		cfg.MaxAge = age + archive.Slack
	}
	return cfg
}

// jobIndex is the stream of the job index. Its segments are as old as the last of their
// events, or younger, so that they live as long.
func (c *Conn) jobIndex(l Layout) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:         c.stream(index),
		Description:  "Chartpost: an index of the events, in hashes; what is lost of it is built again",
		Subjects:     []string{segmentStore{c}.subject()},
		Storage:      jetstream.FileStorage,
		Replicas:     l.Replicas,
		MaxBytes:     -1,
		MaxAge:       l.EventsAge,
		Duplicates:   2 * time.Minute,
		AllowDirect:  true,
		MaxConsumers: readConsumers,
	}
	if l.EventsAge > 0 {
		cfg.Duplicates = min(cfg.Duplicates, l.EventsAge)
	}
	if l.EventsBytes > 0 {
		// More than the segments of that many bytes of events take.
		cfg.MaxBytes = max(l.EventsBytes/4, leastIndexBytes)
	}
	return cfg
}

// leastIndexBytes is room for a few of the largest segments.
const leastIndexBytes = 4 << 20

// metaEndedAge is on the ledger's stream and tells the writers of records how
// long that of a job that has ended is kept.
const metaEndedAge = "chartpost.ended-age"

// bucketConfig is the stream that the library makes for a bucket: it has no way
// to allow TTLs of messages without marks in place of what has expired, and its
// update of a bucket would forbid them again, which the server refuses.
// NATS: ADR-8, "JetStream based Key-Value Stores".
func bucketConfig(bucket, description string, age time.Duration, replicas int) jetstream.StreamConfig {
	duplicates := 2 * time.Minute
	if age > 0 {
		duplicates = min(duplicates, age)
	}
	return jetstream.StreamConfig{
		Name:              bucketStream(bucket),
		Description:       description,
		Subjects:          []string{"$KV." + bucket + ".>"},
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgSize:        -1,
		MaxConsumers:      readConsumers,
		MaxAge:            age,
		Duplicates:        duplicates,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       true,
	}
}

func unlimited(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

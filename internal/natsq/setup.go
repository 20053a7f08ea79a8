package natsq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/ledger/archive"
)

// Layout is how the streams and buckets are kept.
type Layout struct {
	// Replicas is 1, 3 or 5.
	Replicas int
	// EventsBytes caps the events on disk, oldest out first; 0 is no cap. The
	// jobs have no cap of their own: message schedules exclude "discard new"
	// (a rule of the server), and any other cap would discard jobs. The limit
	// of the account refuses publishers instead, and loses nothing.
	EventsBytes int64
	// EventsAge, DeadAge and AuditAge are how long entries are kept; 0 is for
	// ever.
	EventsAge, DeadAge, AuditAge time.Duration
	// LedgerAge is how long the ledger keeps the record of a job that has ended,
	// in whole seconds. That of a job under way is kept for LedgerOpenAge, or for
	// LedgerAge where that is longer. Both begin with the record's last change.
	LedgerAge, LedgerOpenAge time.Duration
	// Duplicates is how long a Nats-Msg-Id is remembered. It must outlast every
	// retry of a publish.
	Duplicates time.Duration
}

// Change is what Setup did to one stream or bucket.
type Change struct {
	Name string
	// Did is "created", "updated" or "unchanged".
	Did string
}

// Setup creates what is missing and brings the rest to layout. It deletes
// nothing, and doing it twice changes nothing.
func (c *Conn) Setup(ctx context.Context, layout Layout) ([]Change, error) {
	var changes []Change
	for _, cfg := range slices.Concat(c.streams(layout), c.buckets(layout), []jetstream.StreamConfig{c.archive(layout)}) {
		did, err := c.ensureStream(ctx, cfg)
		if err != nil {
			return changes, fmt.Errorf("%s: %w", titleOf(cfg.Name), err)
		}
		changes = append(changes, Change{strings.TrimPrefix(cfg.Name, bucketPrefix), did})
	}
	return changes, nil
}

func (c *Conn) streams(l Layout) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name:        c.stream(jobs),
			Description: "Chartpost: jobs waiting, and schedules that bring jobs back",
			// Named one by one, so that a publisher that misspells a class is told
			// at once.
			Subjects:   []string{c.prefix + ".jobs.live.*", c.prefix + ".jobs.backfill.*", c.prefix + ".later.*"},
			Retention:  jetstream.WorkQueuePolicy,
			Storage:    jetstream.FileStorage,
			Replicas:   l.Replicas,
			Duplicates: l.Duplicates,
			// Whether a copy of a job is still there is a question for the
			// leader: a replica may lag.
			AllowDirect:       false,
			AllowMsgSchedules: true,
		},
		{
			Name:        c.stream(events),
			Description: "Chartpost: what became of jobs, as CloudEvents",
			Subjects:    []string{c.prefix + ".events.*.*.*"},
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
			MaxBytes:    unlimited(l.EventsBytes),
			MaxAge:      l.EventsAge,
			Duplicates:  l.Duplicates,
			AllowDirect: true,
		},
		{
			Name:        c.stream(dead),
			Description: "Chartpost: jobs that need a person, as they came, with the reason in headers",
			Subjects:    []string{c.prefix + ".dead.*.*"},
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
			MaxAge:      l.DeadAge,
			Duplicates:  l.Duplicates,
			AllowDirect: true,
		},
		{
			Name:        c.stream(audit),
			Description: "Chartpost: what operators did, as CloudEvents",
			Subjects:    []string{c.prefix + ".audit.*"},
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
			MaxAge:      l.AuditAge,
			Duplicates:  l.Duplicates,
			AllowDirect: true,
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
	return []jetstream.StreamConfig{
		records,
		bucketConfig(c.stream(control), "Chartpost: lane settings, request budget, backfill runs", 0, l.Replicas),
	}
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
		MaxConsumers:      -1,
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

func (c *Conn) ensureStream(ctx context.Context, cfg jetstream.StreamConfig) (string, error) {
	existing, err := c.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = c.js.CreateStream(ctx, cfg)
		return "created", err
	}
	if err != nil {
		return "", err
	}
	before := existing.CachedInfo().Config
	// The server takes no denial back: such a bucket keeps all its records.
	cfg.DenyDelete = cfg.DenyDelete || before.DenyDelete
	// Nothing is asked for where nothing is to be changed: an operator may run
	// Setup without the right to change the audit.
	if sameStream(before, filled(cfg)) {
		return "unchanged", nil
	}
	updated, err := c.js.UpdateStream(ctx, cfg)
	if err != nil {
		return "", err
	}
	if sameStream(before, updated.CachedInfo().Config) {
		return "unchanged", nil
	}
	return "updated", nil
}

// filled is cfg with what the server makes of it: no limit in place of 0, and
// rollups where there are schedules.
func filled(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	cfg.MaxMsgs, cfg.MaxBytes, cfg.MaxMsgsPerSubject = unlimited(cfg.MaxMsgs), unlimited(cfg.MaxBytes), unlimited(cfg.MaxMsgsPerSubject)
	cfg.MaxMsgSize, cfg.MaxConsumers = int32(unlimited(int64(cfg.MaxMsgSize))), int(unlimited(int64(cfg.MaxConsumers)))
	cfg.AllowRollup = cfg.AllowRollup || cfg.AllowMsgSchedules
	return cfg
}

// sameStream compares all that streams and buckets say of one, and what none of
// them has: what somebody adds there would lose confirmations or copy jobs to
// elsewhere. Placement and compression are left to who runs the servers.
func sameStream(a, b jetstream.StreamConfig) bool {
	return a.NoAck == b.NoAck && (a.RePublish == nil) == (b.RePublish == nil) && (a.SubjectTransform == nil) == (b.SubjectTransform == nil) &&
		len(a.Sources) == len(b.Sources) && a.ConsumerLimits == b.ConsumerLimits &&
		a.Description == b.Description && slices.Equal(a.Subjects, b.Subjects) &&
		a.Retention == b.Retention && a.Discard == b.Discard && a.Storage == b.Storage && a.Replicas == b.Replicas &&
		a.MaxMsgs == b.MaxMsgs && a.MaxBytes == b.MaxBytes && a.MaxMsgsPerSubject == b.MaxMsgsPerSubject &&
		a.MaxMsgSize == b.MaxMsgSize && a.MaxConsumers == b.MaxConsumers && a.MaxAge == b.MaxAge && a.Duplicates == b.Duplicates &&
		a.AllowMsgSchedules == b.AllowMsgSchedules && a.AllowMsgTTL == b.AllowMsgTTL && a.Metadata[metaEndedAge] == b.Metadata[metaEndedAge] &&
		a.AllowRollup == b.AllowRollup && a.AllowDirect == b.AllowDirect && a.DenyDelete == b.DenyDelete && a.DenyPurge == b.DenyPurge
}

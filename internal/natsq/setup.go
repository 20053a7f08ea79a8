package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
	// EventsAge, DeadAge and LedgerAge are how long entries are kept.
	EventsAge, DeadAge, LedgerAge time.Duration
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
	for _, cfg := range c.streams(layout) {
		did, err := c.ensureStream(ctx, cfg)
		if err != nil {
			return changes, fmt.Errorf("stream %s: %w", cfg.Name, err)
		}
		changes = append(changes, Change{cfg.Name, did})
	}
	for _, cfg := range c.buckets(layout) {
		did, err := c.ensureBucket(ctx, cfg)
		if err != nil {
			return changes, fmt.Errorf("bucket %s: %w", cfg.Bucket, err)
		}
		changes = append(changes, Change{cfg.Bucket, did})
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
	}
}

func (c *Conn) buckets(l Layout) []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{
			Bucket:      c.stream(ledger),
			Description: "Chartpost: per job, what is already done",
			History:     1,
			TTL:         l.LedgerAge,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
		{
			Bucket:      c.stream(control),
			Description: "Chartpost: lane settings, request budget, backfill runs",
			History:     1,
			Storage:     jetstream.FileStorage,
			Replicas:    l.Replicas,
		},
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
	updated, err := c.js.UpdateStream(ctx, cfg)
	if err != nil {
		return "", err
	}
	if sameStream(before, updated.CachedInfo().Config) {
		return "unchanged", nil
	}
	return "updated", nil
}

// sameStream compares what a Layout can change.
func sameStream(a, b jetstream.StreamConfig) bool {
	return a.Replicas == b.Replicas && a.MaxBytes == b.MaxBytes && a.MaxAge == b.MaxAge &&
		a.Duplicates == b.Duplicates && a.AllowMsgSchedules == b.AllowMsgSchedules &&
		a.AllowDirect == b.AllowDirect && a.Description == b.Description
}

func (c *Conn) ensureBucket(ctx context.Context, cfg jetstream.KeyValueConfig) (string, error) {
	existing, err := c.js.KeyValue(ctx, cfg.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		_, err = c.js.CreateKeyValue(ctx, cfg)
		return "created", err
	}
	if err != nil {
		return "", err
	}
	before, err := existing.Status(ctx)
	if err != nil {
		return "", err
	}
	updated, err := c.js.UpdateKeyValue(ctx, cfg)
	if err != nil {
		return "", err
	}
	after, err := updated.Status(ctx)
	if err != nil {
		return "", err
	}
	if before.TTL() == after.TTL() && before.Config().Replicas == after.Config().Replicas {
		return "unchanged", nil
	}
	return "updated", nil
}

package natsq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Change is what Setup did to one stream or bucket.
type Change struct {
	Name string
	// Did is "created", "updated" or "unchanged".
	Did string
	// Fields are what was changed of one that was there: "max_age: 720h → 721h".
	Fields []string
}

// ErrOldLayout refuses a deployment that an earlier build has set up. There has been
// no release, so nothing is taken over from it.
var ErrOldLayout = errors.New("the streams are those of an earlier build, which cannot be taken over: when the queue is empty, remove the jobs stream and the ledger's bucket with an administrator's tools, and run chartpost setup again")

// Setup creates what is missing and brings what it owns of the rest to the layout. It
// deletes nothing, leaves alone what an administrator has set beside it (placement,
// compression, tags, metadata, limits of bytes and messages), and doing it twice
// changes nothing.
func (c *Conn) Setup(ctx context.Context, layout Layout) ([]Change, error) {
	return c.setup(ctx, layout, false)
}

// PlanSetup tells what Setup would do.
func (c *Conn) PlanSetup(ctx context.Context, layout Layout) ([]Change, error) {
	return c.setup(ctx, layout, true)
}

func (c *Conn) setup(ctx context.Context, layout Layout, dry bool) ([]Change, error) {
	if err := c.verifyVersion(); err != nil {
		return nil, err
	}
	all := slices.Concat(c.streams(layout), c.buckets(layout), []jetstream.StreamConfig{c.archive(layout), c.jobIndex(layout)})
	if err := c.refuseOldLayout(ctx); err != nil {
		return nil, err
	}
	var changes []Change
	for _, cfg := range all {
		change, err := c.ensureStream(ctx, cfg, dry)
		if err != nil {
			return changes, fmt.Errorf("%s: %w", titleOf(cfg.Name), err)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func (c *Conn) refuseOldLayout(ctx context.Context) error {
	existing, err := c.js.Stream(ctx, c.stream(jobs))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil && oldLayout(existing.CachedInfo().Config) {
		err = fmt.Errorf("stream %s: %w", c.stream(jobs), ErrOldLayout)
	}
	return err
}

// oldLayout reports whether a jobs stream is one that held schedules too.
func oldLayout(cfg jetstream.StreamConfig) bool { return cfg.AllowMsgSchedules }

func (c *Conn) ensureStream(ctx context.Context, cfg jetstream.StreamConfig, dry bool) (Change, error) {
	change := Change{Name: strings.TrimPrefix(cfg.Name, bucketPrefix), Did: "unchanged"}
	existing, err := c.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		change.Did = "created"
		if !dry {
			_, err = c.js.CreateStream(ctx, cfg)
			return change, err
		}
		return change, nil
	}
	if err != nil {
		return change, err
	}
	before := existing.CachedInfo().Config
	after := owned(before, cfg)
	if change.Fields, err = differences(before, after); err != nil {
		return change, err
	}
	// Nothing is asked for where nothing is to be changed: an operator may run Setup
	// without the right to change the audit.
	if len(change.Fields) == 0 {
		return change, nil
	}
	change.Did = "updated"
	if !dry {
		_, err = c.js.UpdateStream(ctx, after)
	}
	return change, err
}

// owned is what is there with what Setup owns of it as wanted. Where more consumers
// are allowed than wanted, that is an administrator's decision, except on the jobs
// stream.
func owned(existing, want jetstream.StreamConfig) jetstream.StreamConfig {
	cfg := existing
	cfg.Description, cfg.Subjects, cfg.Sources = want.Description, want.Subjects, want.Sources
	cfg.Retention, cfg.Discard, cfg.Storage, cfg.Replicas = want.Retention, want.Discard, want.Storage, want.Replicas
	cfg.MaxAge, cfg.Duplicates = want.MaxAge, want.Duplicates
	if cfg.MaxConsumers = max(existing.MaxConsumers, want.MaxConsumers); len(want.Sources) > 0 {
		cfg.MaxConsumers = want.MaxConsumers // the jobs': as many as lanes are to have
	}
	cfg.MaxMsgsPerSubject = unlimited(want.MaxMsgsPerSubject)
	cfg.NoAck, cfg.SubjectTransform, cfg.RePublish = want.NoAck, want.SubjectTransform, want.RePublish
	cfg.AllowDirect, cfg.AllowMsgSchedules, cfg.AllowMsgTTL = want.AllowDirect, want.AllowMsgSchedules, want.AllowMsgTTL
	// The server takes no denial back.
	cfg.DenyDelete, cfg.DenyPurge = want.DenyDelete || existing.DenyDelete, want.DenyPurge || existing.DenyPurge
	// NATS: schedules turn rollups on.
	cfg.AllowRollup = want.AllowRollup || want.AllowMsgSchedules
	if want.MaxBytes > 0 {
		cfg.MaxBytes = want.MaxBytes
	}
	if losesMessages(cfg) && (want.Retention == jetstream.WorkQueuePolicy || want.MaxMsgsPerSubject > 0) {
		cfg.MaxMsgs, cfg.MaxBytes = -1, -1
	}
	if len(want.Metadata) > 0 {
		cfg.Metadata = maps.Clone(existing.Metadata)
		if cfg.Metadata == nil {
			cfg.Metadata = map[string]string{}
		}
		maps.Copy(cfg.Metadata, want.Metadata)
	}
	return cfg
}

// differences lists the fields of two configurations that differ, with both values.
func differences(before, after jetstream.StreamConfig) ([]string, error) {
	a, errBefore := fieldsOf(before)
	b, errAfter := fieldsOf(after)
	if err := errors.Join(errBefore, errAfter); err != nil {
		return nil, err
	}
	var all []string
	for name := range a {
		if _, both := b[name]; !both {
			b[name] = nil
		}
	}
	for name, value := range b {
		if x, y := shown(name, a[name]), shown(name, value); x != y {
			all = append(all, fmt.Sprintf("%s: %s → %s", name, cmp.Or(x, "none"), cmp.Or(y, "none")))
		}
	}
	slices.Sort(all)
	return all, nil
}

// shown is a field for people: times, which the wire has in nanoseconds, as durations.
func shown(field string, value json.RawMessage) string {
	if field == "max_age" || field == "duplicate_window" {
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return time.Duration(n).String()
		}
	}
	return string(value)
}

// fieldsOf gives a configuration field by field, as the wire has it.
func fieldsOf(cfg jetstream.StreamConfig) (fields map[string]json.RawMessage, err error) {
	data, err := json.Marshal(cfg)
	if err == nil {
		err = json.Unmarshal(data, &fields)
	}
	if err != nil {
		return nil, fmt.Errorf("comparing the configuration: %w", err)
	}
	return fields, nil
}

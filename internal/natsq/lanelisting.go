package natsq

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// list reads which subjects hold jobs: often while some do.
func (c *coordinator) list(ctx context.Context, now time.Time) error {
	every := c.in.pace.list
	if c.roster.busy() || c.strays.some() {
		every = c.in.pace.beat / 4
	}
	if now.Sub(c.listedAt) < every {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	began := time.Now()
	stream, err := c.in.conn.js.Stream(ctx, c.in.conn.stream(jobs))
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(c.in.conn.prefix+".jobs.>"))
	}
	c.in.conn.tried("listing the lanes", "", began, err)
	if err != nil {
		return fmt.Errorf("listing lanes: %w", err)
	}
	c.listedAt = now
	c.in.conn.clock.saw(info.TimeStamp, began, time.Now())
	c.consumers, c.replicas = info.State.Consumers, info.Config.Replicas
	c.roster.most = max(info.Config.MaxConsumers-spareConsumers, 1)
	found := make(map[schemas.Lane]uint64, len(info.State.Subjects))
	var misaddressed []schemas.Lane
	c.unservable = 0
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ServedLane(c.in.conn.prefix, subject)
		switch {
		case err != nil:
			c.unservable += n
		case lane.Stray():
			misaddressed = append(misaddressed, lane)
		default:
			found[lane] = n
		}
	}
	c.strays.found(misaddressed)
	c.roster.listed(found, now)
	c.rank(ctx, now)
	return c.sync(ctx, now)
}

// How often the accepted jobs of the lanes are counted while some hold jobs, and while
// lanes wait for their turn. It costs the server as much as a listing of the lanes.
const (
	rankEvery       = 30 * time.Second
	rankEveryScarce = 5 * time.Second
)

// rank counts the accepted jobs of each lane, by the events that are kept. Where that
// fails, what was counted before holds on.
func (c *coordinator) rank(ctx context.Context, now time.Time) {
	every := rankEvery
	if c.told.Scarce {
		every = rankEveryScarce
	}
	if !c.roster.busy() || now.Sub(c.rankedAt) < every {
		return
	}
	c.rankedAt = now
	began := time.Now()
	accepted, err := c.acceptedJobs(ctx)
	c.in.conn.tried("counting the accepted jobs", "", began, err)
	if err == nil {
		c.roster.accepted(accepted)
	}
}

// acceptedJobs are how many events of accepted jobs each lane has.
func (c *coordinator) acceptedJobs(ctx context.Context) (map[schemas.Lane]uint64, error) {
	stream, err := c.in.conn.js.Stream(ctx, c.in.conn.stream(events))
	if err != nil {
		return nil, err
	}
	prefix, suffix := c.in.conn.prefix+".events.", "."+string(schemas.StatusAccepted)
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*.*"+suffix))
	if err != nil {
		return nil, err
	}
	all := make(map[schemas.Lane]uint64, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		tail := strings.TrimSuffix(strings.TrimPrefix(subject, prefix), suffix)
		if lane, err := schemas.ParseTail(tail); err == nil {
			all[lane] = n
		}
	}
	return all, nil
}

// syncAfter is how long the coordinator believes its own count of the consumers.
const syncAfter = 5 * time.Second

// sync lists the consumers where there are others than it knows of: at the beginning
// of a tenure, and when the server has removed one.
func (c *coordinator) sync(ctx context.Context, now time.Time) error {
	if !c.syncedAt.IsZero() && (c.consumers == len(c.limits) || now.Sub(c.syncedAt) < syncAfter) {
		return nil
	}
	infos, err := c.infos(ctx)
	if err != nil {
		c.in.conn.tried("listing the lanes' consumers", "", now, err)
		c.listedAt = time.Time{}
		return err
	}
	c.syncedAt = now
	has := map[schemas.Lane]bool{}
	clear(c.limits)
	for lane, info := range infos {
		has[lane], c.limits[lane] = true, info.Config.MaxAckPending
		if info.Config.AckWait != c.in.settings.Lease {
			c.limits[lane] = 0 // relimit brings it to the settings
		}
	}
	c.roster.has(has, now)
	return nil
}

// infos are what the lanes' consumers say.
func (c *coordinator) infos(ctx context.Context) (map[schemas.Lane]*jetstream.ConsumerInfo, error) {
	stream, err := c.in.conn.js.Stream(ctx, c.in.conn.stream(jobs))
	if err != nil {
		return nil, err
	}
	all := map[schemas.Lane]*jetstream.ConsumerInfo{}
	lister := stream.ListConsumers(ctx)
	for info := range lister.Info() {
		if lane, err := schemas.ParseJobSubject(c.in.conn.prefix, info.Config.FilterSubject); err == nil && info.Name == consumerName(lane) {
			all[lane] = info
		}
	}
	return all, lister.Err()
}

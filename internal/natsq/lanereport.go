package natsq

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// LaneReport is what the queue and the lane's record say of a lane.
type LaneReport struct {
	State worker.LaneState
	// Waiting are the jobs that nobody has in hand; InHand those somebody has, or
	// had a lease ago.
	Waiting, InHand uint64
	// Concurrency is how many jobs the fleet may have in hand; 0 where the queue
	// has no consumer for the lane.
	Concurrency int
	// Unserved says why no worker can take a job of the lane, although it is not shut;
	// empty where somebody can.
	Unserved string
}

// Report lists the lanes that hold jobs, have a consumer, or have a state. The
// three are read one after the other: a job that moves in between may be missed
// or counted twice.
func (c *Control) Report(ctx context.Context) ([]LaneReport, error) {
	states, err := c.All(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := c.conn.js.Stream(ctx, c.conn.stream(jobs))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	now := time.Now()
	reports := map[schemas.Lane]LaneReport{}
	var all *worker.Pause
	for _, state := range states {
		if state.Lane == AllLanes() {
			all = pausedAll(state, now)
		} else if !state.Empty() {
			reports[state.Lane] = LaneReport{State: state}
		}
	}
	consumers := stream.ListConsumers(ctx)
	for info := range consumers.Info() {
		c.addConsumer(reports, info)
	}
	if err := consumers.Err(); err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(c.conn.prefix+".jobs.>"))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	unserved, err := c.unserved(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ServedLane(c.conn.prefix, subject)
		if err != nil {
			continue // the workers' logs tell of it
		}
		r := reports[lane]
		r.State.Lane, r.Waiting = lane, n-min(n, r.InHand)
		if r.Concurrency == 0 && !lane.Stray() && r.State.Breaker == nil && all == nil && !r.State.ShutUntil().After(now) {
			r.Unserved = whyUnserved(unserved, lane)
		}
		reports[lane] = r
	}
	for lane, r := range reports {
		if !lane.Stray() {
			r.State.Pause = overlaid(r.State.Pause, all)
			reports[lane] = r
		}
	}
	return slices.SortedFunc(maps.Values(reports), func(a, b LaneReport) int {
		x, y := a.State.Lane, b.State.Lane
		return cmp.Or(cmp.Compare(x.Destination, y.Destination), -cmp.Compare(x.Class, y.Class), cmp.Compare(x.Name(), y.Name()))
	}), nil
}

// addConsumer notes what a lane's consumer says. One of a misaddressed lane is
// of no interest once its jobs are gone.
func (c *Control) addConsumer(reports map[schemas.Lane]LaneReport, info *jetstream.ConsumerInfo) {
	lane, err := schemas.ServedLane(c.conn.prefix, info.Config.FilterSubject)
	if err != nil || lane.Stray() && info.NumPending == 0 && info.NumAckPending == 0 {
		return
	}
	r := reports[lane]
	r.State.Lane, r.InHand, r.Concurrency = lane, uint64(max(info.NumAckPending, 0)), info.Config.MaxAckPending
	reports[lane] = r
}

package natsq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// makeAll makes the consumers of lanes. Those it does not get to are the next
// cycle's.
func (c *coordinator) makeAll(ctx context.Context, lanes []schemas.Lane) {
	if len(lanes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	// A limit that changes meanwhile is relimit's: it must not count as the consumer's.
	limits := make(map[schemas.Lane]int, len(lanes))
	for _, lane := range lanes {
		limits[lane] = c.limit(lane)
	}
	errs := atOnce(lanes, func(lane schemas.Lane) error {
		_, err := c.in.conn.js.CreateOrUpdateConsumer(ctx, c.in.conn.stream(jobs), c.in.config(lane, limits[lane]))
		return err
	})
	for i, err := range errs {
		c.concluded(ctx, lanes[i], limits[lanes[i]], err)
	}
}

func (c *coordinator) concluded(ctx context.Context, lane schemas.Lane, limit int, err error) {
	now := time.Now()
	switch {
	case err == nil:
		c.limits[lane] = limit
		c.roster.made(lane, now)
	case errors.Is(ctx.Err(), context.Canceled): // which says nothing of the lane
	default:
		c.roster.failed(lane, codeOf(err), now)
		c.in.conn.log.Warn("the consumer of a lane could not be made; the lane waits", "class", lane.Class, "destination", lane.Destination, "error", reasonOf(err))
	}
}

// codeOf is a stable word for why a consumer could not be made.
func codeOf(err error) string {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return fmt.Sprintf("jetstream_%d", api.ErrorCode)
	}
	return "no_answer"
}

func (c *coordinator) limit(lane schemas.Lane) int {
	return cmp.Or(c.states.of(lane).Limit, c.in.settings.Concurrency)
}

// relimit brings the consumers whose lanes have another limit now to it.
func (c *coordinator) relimit(ctx context.Context) {
	for lane, has := range maps.Clone(c.limits) {
		if want := c.limit(lane); want != has {
			_, err := c.in.conn.js.CreateOrUpdateConsumer(ctx, c.in.conn.stream(jobs), c.in.config(lane, want))
			if err == nil {
				c.limits[lane] = want
			}
		}
	}
}

// release removes the consumers of lanes that are not offered any more, where that is
// safe: nothing in hand, and on a replicated stream no message left either. There the
// removal of acknowledged messages may be under way (45 of 286 stayed, nats-server
// 2.15.2). The server removes others when no worker has asked them for a while.
func (c *coordinator) release(ctx context.Context, s steps) {
	free := slices.DeleteFunc(s.free, func(lane schemas.Lane) bool {
		p := c.roster.lanes[lane]
		return !p.stuck && !(s.scarce && (p.jobs == 0 || c.replicas == 1))
	})
	if len(free) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	errs := atOnce(free, func(lane schemas.Lane) error { return c.remove(ctx, lane) })
	for i, err := range errs {
		if err == nil {
			delete(c.limits, free[i])
			delete(c.suspects, free[i])
			c.roster.gone(free[i], time.Now())
		}
	}
}

// remove deletes a lane's consumer, unless jobs are in hand. One that is gone is as
// good.
func (c *coordinator) remove(ctx context.Context, lane schemas.Lane) error {
	stream, name := c.in.conn.stream(jobs), consumerName(lane)
	consumer, err := c.in.conn.js.Consumer(ctx, stream, name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil
	case err != nil:
		return err
	case consumer.CachedInfo().NumAckPending > 0:
		return errInHand
	}
	err = c.in.conn.js.DeleteConsumer(ctx, stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	return err
}

var errInHand = errors.New("jobs of the lane are in hand")

// makers is how many consumers are made or removed at once: enough that those of a
// replicated stream do not hold up the others, and few enough for the servers.
const makers = 8

// makeTime is how long one cycle makes consumers, or removes them: lanes that are
// served must not wait for those that begin.
const makeTime = 250 * time.Millisecond

// atOnce does something with each lane, some at once, and begins none after makeTime.
// It gives as many errors as it has come to lanes.
func atOnce(lanes []schemas.Lane, do func(schemas.Lane) error) []error {
	end := time.Now().Add(makeTime)
	errs, begun := make([]error, len(lanes)), 0
	free := make(chan struct{}, makers)
	var all sync.WaitGroup
	for i, lane := range lanes {
		if time.Now().After(end) {
			break
		}
		free <- struct{}{}
		begun++
		all.Go(func() {
			errs[i] = do(lane)
			<-free
		})
	}
	all.Wait()
	return errs[:begun]
}

package natsq

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// maxConsumerName is shorter than the server's own limit of 255 bytes.
const maxConsumerName = 200

// consumerName is the lane's name, or for the few lanes whose name is too long
// for a consumer (an address of 128 bytes can be 384 when escaped) the start of
// it and its SHA-256.
func consumerName(lane schemas.Lane) string {
	name := lane.Name()
	if len(name) <= maxConsumerName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:100] + "-" + hex.EncodeToString(sum[:])
}

// Lanes implements worker.Intake: it reads the subjects that hold jobs and
// makes a durable consumer for each lane that this worker has not seen. It
// takes no longer than one request may. A lane whose consumer cannot be made is
// left out and waits, by itself and longer each time, for its next try; each try
// that failed is told of once.
func (in *Intake) Lanes(ctx context.Context) ([]worker.Depth, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := in.conn.js.Stream(ctx, in.conn.stream(jobs))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(in.conn.prefix+".jobs.>"))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	found := make(map[schemas.Lane]uint64, len(info.State.Subjects))
	var faults []error
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ServedLane(in.conn.prefix, subject)
		if err != nil {
			faults = append(faults, fmt.Errorf("%d jobs were published to a subject that is no lane: %w", n, err))
			continue
		}
		found[lane] = n
	}
	faults = append(faults, in.makeAll(ctx, in.lanes.list(found, time.Now()))...)
	return in.lanes.ready(found), errors.Join(faults...)
}

// makers is how many consumers are made at once: enough that those which cannot
// be made and those of a replicated stream do not hold up the others, and few
// enough for the servers when a whole fleet starts.
const makers = 8

// makeAll makes the consumers of lanes. It begins none in the second half of
// what is left of ctx, so that each try has the time it needs; the lanes that
// were not reached are the next listing's.
func (in *Intake) makeAll(ctx context.Context, lanes []schemas.Lane) []error {
	end, _ := ctx.Deadline()
	beginning, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	defer cancel()
	faults := make([]error, len(lanes))
	free := make(chan struct{}, makers)
	var all sync.WaitGroup
	for i, lane := range lanes {
		free <- struct{}{}
		if beginning.Err() != nil {
			faults[i] = fmt.Errorf("%d lanes wait for the next listing: %w", len(lanes)-i, beginning.Err())
			break
		}
		all.Go(func() {
			faults[i] = in.ensure(ctx, lane)
			<-free
		})
	}
	all.Wait()
	return faults
}

// ensure makes the lane's consumer and notes what came of it.
func (in *Intake) ensure(ctx context.Context, lane schemas.Lane) error {
	err := in.make(ctx, lane)
	switch {
	case err == nil:
		in.lanes.add(lane)
		return nil
	case !errors.Is(ctx.Err(), context.Canceled): // which says nothing of the lane
		in.lanes.fail(lane, time.Now())
	}
	return fmt.Errorf("making the consumer of lane %s: %w", lane.Name(), err)
}

// make makes or updates the lane's consumer as the lane's state demands: a pause
// outlives a consumer that was removed.
func (in *Intake) make(ctx context.Context, lane schemas.Lane) error {
	if lane.Stray() {
		_, err := in.conn.js.CreateOrUpdateConsumer(ctx, in.conn.stream(jobs), in.config(worker.LaneState{Lane: lane}))
		return err
	}
	state, err := in.control.read(ctx, lane)
	if err != nil {
		return err
	}
	return in.control.steady(ctx, state, func(ctx context.Context, state worker.LaneState) error {
		consumer, err := in.conn.js.CreateOrUpdateConsumer(ctx, in.conn.stream(jobs), in.config(state))
		if err != nil {
			return err
		}
		// NATS: pause_until is taken from who makes a consumer, and ignored from
		// who updates one.
		if state.Revision == 0 && consumer.CachedInfo().Config.PauseUntil == nil {
			return nil
		}
		return in.conn.pause(ctx, lane, state.ShutUntil())
	})
}

func (in *Intake) config(state worker.LaneState) jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Durable:           consumerName(state.Lane),
		Description:       "Chartpost lane",
		FilterSubject:     schemas.JobSubject(in.conn.prefix, state.Lane),
		AckPolicy:         jetstream.AckExplicitPolicy,
		AckWait:           in.settings.Lease,
		MaxAckPending:     cmp.Or(state.Limit, in.settings.Concurrency),
		InactiveThreshold: in.settings.Idle,
		// A job is given up by its own deadline, never by a count.
		MaxDeliver: -1,
		MaxWaiting: 512,
		Metadata:   map[string]string{metaConcurrency: strconv.Itoa(in.settings.Concurrency)},
	}
	if until := state.ShutUntil(); !until.IsZero() {
		config.PauseUntil = &until
	}
	return config
}

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

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// lanesMade are the lanes whose consumers this worker has made, and those that
// held jobs when they were last listed.
type lanesMade struct {
	mu   sync.Mutex
	all  map[schemas.Lane]bool
	held []schemas.Lane
}

// list notes a listing.
func (m *lanesMade) list(depths []worker.Depth) {
	held := make([]schemas.Lane, len(depths))
	for i, depth := range depths {
		held[i] = depth.Lane
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = held
}

// listed are the lanes that held jobs a moment ago, in no order.
func (m *lanesMade) listed() []schemas.Lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

func (m *lanesMade) known(lane schemas.Lane) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[lane]
}

func (m *lanesMade) add(lane schemas.Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[schemas.Lane]bool{}
	}
	m.all[lane] = true
}

func (m *lanesMade) forget(lane schemas.Lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, lane)
}

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
// makes a durable consumer for each lane that this worker has not seen.
func (in *Intake) Lanes(ctx context.Context) ([]worker.Depth, error) {
	stream, err := in.conn.js.Stream(ctx, in.conn.stream(jobs))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(in.conn.prefix+".jobs.>"))
	if err != nil {
		return nil, fmt.Errorf("listing lanes: %w", err)
	}
	depths := make([]worker.Depth, 0, len(info.State.Subjects))
	var faults []error
	for subject, n := range info.State.Subjects {
		lane, err := schemas.ServedLane(in.conn.prefix, subject)
		if err != nil {
			faults = append(faults, fmt.Errorf("%d jobs were published to a subject that is no lane: %w", n, err))
			continue
		}
		if err := in.ensure(ctx, lane); err != nil {
			faults = append(faults, err)
			continue
		}
		depths = append(depths, worker.Depth{Lane: lane, Jobs: n})
	}
	in.lanes.list(depths)
	return depths, errors.Join(faults...)
}

// ensure makes the lane's consumer unless this worker knows that it exists.
func (in *Intake) ensure(ctx context.Context, lane schemas.Lane) error {
	if in.lanes.known(lane) {
		return nil
	}
	err := in.make(ctx, lane)
	if err != nil {
		return fmt.Errorf("making the consumer of lane %s: %w", lane.Name(), err)
	}
	in.lanes.add(lane)
	return nil
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

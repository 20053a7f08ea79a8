package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
)

// load is a row, and how its jobs lie in the queue.
type load struct {
	row
	lanes, workers int
	// queued jobs are there before the workers start.
	queued int
	// refilled is that each accepted job is replaced by another, so that the
	// queue stays as deep as it was.
	refilled bool
}

// place is where a load goes to.
type place struct {
	receiver *devstack.ServerProcess
	// authority is the file of the receiver's certificate, if it has one.
	authority string
	// profiles is the folder for profiles; empty is none.
	profiles string
}

// trial is one run of a load by workers.
type trial struct {
	load
	stage   *stage
	place   place
	queue   *queue
	workers []*process
	watch   watch
	// warm and done are closed when the clock starts and stops.
	warm, done chan struct{}
}

// try measures workers: the jobs are there before they start, and the clock
// runs from one accepted event to another.
func (s *stage) try(ctx context.Context, l load, to place) (out sample, err error) {
	t := &trial{load: l, stage: s, place: to, warm: make(chan struct{}), done: make(chan struct{})}
	if t.queue, err = s.queue(ctx, l.Synced); err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	if err := t.begin(ctx); err != nil {
		return sample{}, err
	}
	if _, err := await(ctx, t.warm, t.queue.failed); err != nil {
		return sample{}, err
	}
	before, err := t.mallocs(ctx)
	if err != nil {
		return sample{}, err
	}
	profiled := t.workers[0].profile(ctx, to.profiles, l.Name)
	counting, stop := context.WithCancel(ctx)
	consumers := t.queue.mostConsumers(counting)
	defer stop()
	if _, err := await(ctx, t.done, t.queue.failed); err != nil {
		return sample{}, err
	}
	after, err := t.mallocs(ctx)
	if err != nil {
		return sample{}, err
	}
	if out, err = t.watch.sample(l.Jobs, l.Size); err != nil {
		return sample{}, err
	}
	stop()
	out.Consumers = <-consumers
	out.MallocsPerJob = (after[0] - before[0]) / float64(l.Jobs)
	out.BytesPerJob = (after[1] - before[1]) / float64(l.Jobs)
	return out, <-profiled
}

// begin publishes the jobs and starts the workers.
func (t *trial) begin(ctx context.Context) error {
	key, err := t.stage.document(ctx, t.Size)
	if err != nil {
		return err
	}
	o := order{start: "job", jobs: t.queued, lanes: t.lanes, key: key, transfer: t.Transfer}
	if err := t.queue.publish(ctx, o); err != nil {
		return err
	}
	started := make(chan struct{})
	defer close(started)
	if err := t.queue.count(func(n int) { <-started; t.accepted(n, o) }); err != nil {
		return err
	}
	for i := range t.load.workers {
		p, err := t.stage.worker(workerSettings{
			name: fmt.Sprintf("worker-%d", i), nats: t.queue.url(), redox: t.place.receiver.URL(), authority: t.place.authority,
			slots: t.Slots, laneSlots: t.Slots * t.load.workers, pprof: t.place.profiles != "",
		})
		if err != nil {
			return err
		}
		p.watch(t.queue.failed)
		t.workers, t.watch.pids = append(t.workers, p), append(t.watch.pids, p.pid())
	}
	t.watch.nats = t.queue.pids()
	return nil
}

// accepted is told of the n-th job that was accepted.
func (t *trial) accepted(n int, o order) {
	switch n {
	case t.Warm:
		t.watch.began = t.watch.now()
		close(t.warm)
	case t.Warm + t.Jobs:
		t.watch.ended = t.watch.now()
		close(t.done)
	}
	if t.refilled {
		if err := t.queue.publishOne(o.job(t.queued + n)); err != nil {
			offer(t.queue.failed, err)
		}
	}
}

// await waits for a moment of a run, or for what keeps it from coming.
func await[T any](ctx context.Context, moment <-chan T, failed <-chan error) (value T, err error) {
	select {
	case value = <-moment:
		return value, nil
	case err = <-failed:
		return value, err
	case <-time.After(longest):
		return value, errors.New("the jobs do not come to an end")
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// longest bounds a wait against a hang.
const longest = 30 * time.Minute

// mallocs are how often, and how many bytes, all workers allocated so far. One
// that begins while another has delivered the first jobs is waited for.
func (t *trial) mallocs(ctx context.Context) ([]float64, error) {
	sums := make([]float64, 2)
	for _, p := range t.workers {
		if err := p.ready(ctx); err != nil {
			return nil, err
		}
		values, err := p.metrics(ctx, "go_memstats_mallocs_total", "go_memstats_alloc_bytes_total")
		if err != nil {
			return nil, err
		}
		sums[0], sums[1] = sums[0]+values[0], sums[1]+values[1]
	}
	return sums, nil
}

// end stops the workers and then the queue.
func (t *trial) end() error {
	var faults []error
	for _, p := range slices.Backward(t.workers) {
		faults = append(faults, p.stop())
	}
	return errors.Join(append(faults, t.queue.close())...)
}

// offer gives a value to whoever waits for the first.
func offer[T any](to chan<- T, value T) {
	select {
	case to <- value:
	default:
	}
}

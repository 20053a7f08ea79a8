package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// idled is what nats-server costs while there is nothing to do.
type idled struct {
	Lanes   int `json:"lanes"`
	Workers int `json:"workers"`
	// Served is in per cent of a core right after each lane had a job, while lanes keep
	// their consumers, and Settled is that after these are gone. Of several servers it
	// is the mean.
	Served  float64 `json:"served_percent"`
	Settled float64 `json:"settled_percent"`
}

const (
	idleLanes   = 1000
	idleWorkers = 10
	// idleWhile is how long each figure is taken, and idleAfter how long the lanes'
	// consumers may stay.
	idleWhile = 45 * time.Second
	idleAfter = 2 * time.Minute
)

// measureIdle gives each of many lanes one job, and then nothing.
func measureIdle(ctx context.Context, s *stage, o options, to *report) (err error) {
	receiver, _, err := s.redox(ctx, row{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	key, err := s.document(ctx, scaleRow.Size)
	if err != nil {
		return err
	}
	q, err := s.queue(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	for n := range idleWorkers {
		p, err := s.worker(workerSettings{name: fmt.Sprintf("worker-%d", n), nats: q.url(), redox: receiver.URL(), slots: 16, laneSlots: 8})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		p.watch(q.failed)
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	out := &idled{Lanes: max(1, int(idleLanes*o.factor)), Workers: idleWorkers}
	accepted := make(chan struct{})
	err = q.count(func(n int) {
		if n == out.Lanes {
			close(accepted)
		}
	})
	if err != nil {
		return err
	}
	if err := q.publish(ctx, order{start: "known", jobs: out.Lanes, lanes: out.Lanes, key: key, transfer: schemas.Embed}); err != nil {
		return err
	}
	if _, err := await(ctx, accepted, q.failed); err != nil {
		return err
	}
	progress("idle: every lane had a job")
	if out.Served, err = q.cost(ctx); err != nil {
		return err
	}
	if err := pass(ctx, idleAfter-idleWhile, q.failed); err != nil {
		return err
	}
	if out.Settled, err = q.cost(ctx); err != nil {
		return err
	}
	progress("idle: %.2f %% of a core with the lanes' consumers, %.2f %% without", out.Served, out.Settled)
	to.Idle = out
	return nil
}

// cost is what a server of the queue uses for a while, in per cent of a core.
func (q *queue) cost(ctx context.Context) (float64, error) {
	w := watch{nats: q.pids()}
	before := w.now()
	if err := pass(ctx, idleWhile, q.failed); err != nil {
		return 0, err
	}
	after := w.now()
	used := (after.nats - before.nats).Seconds() / after.at.Sub(before.at).Seconds()
	return 100 * used / float64(len(w.nats)), w.err
}

// pass lets a time pass.
func pass(ctx context.Context, d time.Duration, failed <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func printIdle(w io.Writer, i *idled) {
	t := newTable(w, "nothing to do|lanes|workers|% of a core per server")
	defer t.Flush()
	fmt.Fprintf(t, "right after a job in each lane\t%d\t%d\t%.2f\n", i.Lanes, i.Workers, i.Served)
	fmt.Fprintf(t, "two minutes later\t%d\t%d\t%.2f\n", i.Lanes, i.Workers, i.Settled)
}

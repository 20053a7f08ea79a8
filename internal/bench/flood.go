package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
)

// flooded is how long jobs to other destinations take while many to one are queued.
type flooded struct {
	Queued int `json:"queued"`
	// Others are milliseconds from a publish to the accepted event, each of a job to a
	// destination of its own.
	Others []float64 `json:"others_ms"`
}

const (
	floodJobs   = 300_000
	floodOthers = 10
)

// measureFlood lets an idle worker have a flood to one destination, and then one job
// after the other to others.
func measureFlood(ctx context.Context, s *stage, o options, to *report) (err error) {
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
	p, err := s.worker(workerSettings{name: "worker", nats: q.url(), redox: receiver.URL(), slots: 16, laneSlots: 8})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	p.watch(q.failed)
	if err := p.ready(ctx); err != nil {
		return err
	}
	out := &flooded{Queued: max(1, int(floodJobs*o.factor))}
	if err := q.publish(ctx, order{start: "flood", jobs: out.Queued, lanes: 1, key: key, transfer: schemas.Embed}); err != nil {
		return err
	}
	for n := range floodOthers {
		took, err := q.until(ctx, order{start: "other", lanes: floodOthers + 1, key: key, transfer: schemas.Embed}.job(n+1))
		if err != nil {
			return err
		}
		out.Others = append(out.Others, milliseconds(took))
	}
	progress("flood: %d queued, others p50 %.0f ms, worst %.0f ms", out.Queued, median(out.Others), percentile(out.Others, 1))
	to.Flood = out
	return nil
}

// until publishes a job, and gives how long it takes until it is accepted.
func (q *queue) until(ctx context.Context, job schemas.Job) (time.Duration, error) {
	lane := schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}
	accepted := make(chan time.Time, 1)
	sub, err := q.conn.Subscribe(schemas.EventSubject(prefix, lane, schemas.StatusAccepted), func(*nats.Msg) { offer(accepted, time.Now()) })
	if err != nil {
		return 0, err
	}
	defer sub.Unsubscribe()
	if err := q.conn.Flush(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := q.publishOne(job); err != nil {
		return 0, err
	}
	at, err := await(ctx, accepted, q.failed)
	if err != nil {
		return 0, fmt.Errorf("a job behind the flood: %w", err)
	}
	return at.Sub(began), nil
}

func printFlood(w io.Writer, f *flooded) {
	t := newTable(w, "publish → accepted, behind a flood of one lane|queued|others|p50 ms|worst ms")
	defer t.Flush()
	fmt.Fprintf(t, "embed, one file of %d kB\t%d\t%d\t%.0f\t%.0f\n", scaleRow.Size/kB, f.Queued, len(f.Others), median(f.Others), percentile(f.Others, 1))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/schemas"
)

// latency is how long single jobs took on a system that does nothing else, in
// milliseconds from the publish to the accepted event, less what the receiver
// had of it.
type latency struct {
	Transfer schemas.Transfer `json:"transfer"`
	P50      float64          `json:"p50_ms"`
	P99      float64          `json:"p99_ms"`
	Worst    float64          `json:"worst_ms"`
	// Receiver is the median of what the receiver took, in milliseconds.
	Receiver float64   `json:"receiver_p50_ms"`
	Each     []float64 `json:"each_ms"`
}

const (
	latencyJobs = 500
	latencyWarm = 50
	latencySize = 50 * kB
	// latencyPause lets the worker acknowledge a job before the next one comes.
	latencyPause = 10 * time.Millisecond
)

func measureLatency(ctx context.Context, s *stage, o options, to *report) error {
	for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		took, receivers, err := s.latency(ctx, transfer, max(1, int(latencyJobs*o.factor)))
		if err != nil {
			return err
		}
		one := latency{
			Transfer: transfer, P50: percentile(took, 0.5), P99: percentile(took, 0.99), Worst: percentile(took, 1),
			Receiver: median(receivers), Each: took,
		}
		progress("latency %s: p50 %.2f ms, p99 %.2f ms", transfer, one.P50, one.P99)
		to.Latency = append(to.Latency, one)
	}
	return nil
}

// latency gives how long each of some jobs took without the receiver, and how
// long the receiver.
func (s *stage) latency(ctx context.Context, transfer schemas.Transfer, jobs int) (took, receivers []float64, err error) {
	receiver, _, err := s.redox(ctx, row{})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	key, err := s.document(ctx, latencySize)
	if err != nil {
		return nil, nil, err
	}
	q, err := s.queue(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	l := &single{queue: q, receiver: receiver, accepted: make(chan time.Time, 1)}
	if err := q.count(func(int) { l.accepted <- time.Now() }); err != nil {
		return nil, nil, err
	}
	p, err := s.worker(workerSettings{name: "worker", nats: q.url(), redox: receiver.URL(), slots: 16, laneSlots: 16})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	p.watch(q.failed)
	orders := order{start: "job", lanes: lanes, key: key, transfer: transfer}
	for n := range latencyWarm + jobs {
		time.Sleep(latencyPause)
		whole, part, err := l.run(ctx, orders.job(n))
		if err != nil {
			return nil, nil, err
		}
		if n >= latencyWarm {
			took, receivers = append(took, milliseconds(whole-part)), append(receivers, milliseconds(part))
		}
	}
	return took, receivers, nil
}

// single runs one job after the other.
type single struct {
	queue    *queue
	receiver *devstack.ServerProcess
	accepted chan time.Time
}

// run publishes a job and waits for its accepted event. It gives how long that
// took, and what part of it the receiver had.
func (l *single) run(ctx context.Context, job schemas.Job) (whole, receiver time.Duration, err error) {
	before, err := spent(ctx, l.receiver)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := l.queue.publishOne(job); err != nil {
		return 0, 0, err
	}
	ended, err := await(ctx, l.accepted, l.queue.failed)
	if err != nil {
		return 0, 0, err
	}
	after, err := spent(ctx, l.receiver)
	return ended.Sub(began), after - before, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spent asks a receiver how long its requests so far have taken.
func spent(ctx context.Context, receiver *devstack.ServerProcess) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, receiver.URL()+spentPath, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return time.Duration(n), err
}

func printLatency(w io.Writer, all []latency) {
	t := newTable(w, "publish → accepted, idle|jobs|p50 ms|p99 ms|worst ms|receiver p50 ms")
	defer t.Flush()
	for _, l := range all {
		fmt.Fprintf(t, "%s, one file of %d kB\t%d\t%.2f\t%.2f\t%.2f\t%.2f\n", l.Transfer, latencySize/kB, len(l.Each), l.P50, l.P99, l.Worst, l.Receiver)
	}
}

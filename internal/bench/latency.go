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
	Jobs     int              `json:"jobs"`
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
)

func measureLatency(ctx context.Context, s *stage, o options, to *report) error {
	for _, transfer := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		one, err := s.latency(ctx, transfer, max(1, int(latencyJobs*o.factor)))
		if err != nil {
			return err
		}
		progress("latency %s: p50 %.2f ms, p99 %.2f ms", transfer, one.P50, one.P99)
		to.Latency = append(to.Latency, one)
	}
	return nil
}

// latency publishes one job after the other, each once the one before it has
// been accepted.
func (s *stage) latency(ctx context.Context, transfer schemas.Transfer, jobs int) (out latency, err error) {
	receiver, _, err := s.redox(ctx, row{})
	if err != nil {
		return latency{}, err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	key, err := s.document(ctx, latencySize)
	if err != nil {
		return latency{}, err
	}
	q, err := s.queue(ctx)
	if err != nil {
		return latency{}, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	accepted, failed := make(chan struct{}, 1), make(chan error, 1)
	var at time.Time
	stop, err := q.count(func(int) { at = time.Now(); accepted <- struct{}{} }, func(err error) { offer(failed, err) })
	if err != nil {
		return latency{}, err
	}
	defer stop()
	p, err := s.worker(workerSettings{name: "worker", nats: q.server.URL(), redox: receiver.URL(), slots: 16})
	if err != nil {
		return latency{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	o := order{"job", latencyWarm + jobs, lanes, key, transfer}
	var took, receivers []float64
	for n := range o.jobs {
		before, err := spent(ctx, receiver)
		if err != nil {
			return latency{}, err
		}
		began := time.Now()
		if err := q.publishOne(o.job(n)); err != nil {
			return latency{}, err
		}
		if err := await(ctx, accepted, p, failed); err != nil {
			return latency{}, err
		}
		after, err := spent(ctx, receiver)
		if err != nil {
			return latency{}, err
		}
		if n >= latencyWarm {
			took = append(took, milliseconds(at.Sub(began)-(after-before)))
			receivers = append(receivers, milliseconds(after-before))
		}
	}
	return latency{
		Transfer: transfer, Jobs: jobs, P50: percentile(took, 0.5), P99: percentile(took, 0.99), Worst: percentile(took, 1),
		Receiver: median(receivers), Each: took,
	}, nil
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
		fmt.Fprintf(t, "%s, one file of %d kB\t%d\t%.2f\t%.2f\t%.2f\t%.2f\n", l.Transfer, latencySize/kB, l.Jobs, l.P50, l.P99, l.Worst, l.Receiver)
	}
}

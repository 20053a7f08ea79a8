package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// soaked is what a worker held on to over a long time of mixed jobs at an even
// rate.
type soaked struct {
	Seconds float64 `json:"seconds"`
	Jobs    int     `json:"jobs"`
	// Resident is the worker's resident memory in bytes, at even distances.
	Resident []int64 `json:"resident"`
	// Before and After are of the idle worker, before the first of the measured
	// jobs and after the last.
	Before held `json:"before"`
	After  held `json:"after"`
}

// held is what an idle worker has.
type held struct {
	Goroutines int `json:"goroutines"`
	Files      int `json:"files"`
}

const (
	soakRate  = 20 // jobs a second
	soakLanes = 40
	soakLooks = 720
	// soakBusy is every how many messages one is answered with 503, since most
	// leaks are where something goes wrong.
	soakBusy = 50
	// soakIdle is longer than connections that nobody uses are kept.
	soakIdle = 100 * time.Second
)

// soakSize is what the file of the n-th job is like.
func soakSize(n int) (size int, transfer schemas.Transfer) {
	switch {
	case n%400 == 399:
		return 30 * mB, schemas.Upload
	case n%100 == 99:
		return 10 * mB, schemas.Upload
	case n%2 == 0:
		return 50 * kB, schemas.Upload
	default:
		return 5 * kB, schemas.Embed
	}
}

// measureSoak lets a worker deliver for as long as the flag says.
func measureSoak(ctx context.Context, s *stage, o options, to *report) (err error) {
	if o.soak < time.Second {
		return errors.New("-soak must be a second or more")
	}
	receiver, err := s.receive(ctx, receiverOptions{Busy: soakBusy})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	q, err := s.queue(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	p, err := s.worker(workerSettings{name: "worker", nats: q.url(), redox: receiver.URL(), slots: 16, laneSlots: 16})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	p.watch(q.failed)
	k := &soak{stage: s, queue: q, worker: p, ends: make(chan int, 1), settle: o.settle}
	to.Soak, err = k.run(ctx, o.soak)
	return err
}

type soak struct {
	stage     *stage
	queue     *queue
	worker    *process
	published int
	// ends has how many jobs were accepted.
	ends chan int
	// settle is what an idle worker is left alone for before it is looked at.
	settle time.Duration
	out    soaked
}

func (k *soak) run(ctx context.Context, length time.Duration) (*soaked, error) {
	if err := k.queue.count(k.accepted, schemas.StatusRetrying); err != nil {
		return nil, err
	}
	for range 10 * soakLanes { // each lane has had work, each kind of connection is made
		if err := k.publish(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if k.out.Before, err = k.idle(ctx); err != nil {
		return nil, err
	}
	warm, began := k.published, time.Now()
	beat, look := time.NewTicker(time.Second/soakRate), time.NewTicker(length/soakLooks)
	defer beat.Stop()
	defer look.Stop()
	for time.Since(began) < length {
		select {
		case <-beat.C:
			err = k.publish(ctx)
		case <-look.C:
			err = k.look(began)
		case err = <-k.queue.failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	k.out.Seconds, k.out.Jobs = time.Since(began).Seconds(), k.published-warm
	k.out.After, err = k.idle(ctx)
	return &k.out, err
}

func (k *soak) publish(ctx context.Context) error {
	size, transfer := soakSize(k.published)
	key, err := k.stage.document(ctx, size)
	if err != nil {
		return err
	}
	o := order{start: "job", lanes: soakLanes, key: key, transfer: transfer}
	err = k.queue.publishOne(o.job(k.published))
	k.published++
	return err
}

// accepted keeps the newest count alone.
func (k *soak) accepted(n int) {
	select {
	case <-k.ends:
	default:
	}
	k.ends <- n
}

// look notes the worker's memory.
func (k *soak) look(began time.Time) error {
	resident, err := statusLine(k.worker.pid(), "VmRSS:")
	if err != nil {
		return err
	}
	k.out.Resident = append(k.out.Resident, resident)
	if n := len(k.out.Resident); n%(soakLooks/12) == 0 {
		progress("soak: %s, %d jobs, %.1f MiB", time.Since(began).Round(time.Second), k.published, float64(resident)/(1<<20))
	}
	return nil
}

// idle waits until every job has been accepted and unused connections are
// closed.
func (k *soak) idle(ctx context.Context) (held, error) {
	for n := 0; n < k.published; {
		var err error
		if n, err = await(ctx, k.ends, k.queue.failed); err != nil {
			return held{}, err
		}
	}
	// The least of a few looks: an idle worker has its errands too.
	least := held{Goroutines: math.MaxInt, Files: math.MaxInt}
	for range 10 {
		select {
		case <-time.After(k.settle / 10):
		case <-ctx.Done():
			return held{}, ctx.Err()
		}
		now, err := k.worker.held(ctx)
		if err != nil {
			return held{}, err
		}
		least = held{Goroutines: min(least.Goroutines, now.Goroutines), Files: min(least.Files, now.Files)}
	}
	return least, nil
}

func (p *process) held(ctx context.Context) (held, error) {
	values, err := p.metrics(ctx, "go_goroutines")
	if err != nil {
		return held{}, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	return held{Goroutines: int(values[0]), Files: len(files)}, err
}

// quarter is the mean of the n-th quarter of the memory, in MiB.
func (s *soaked) quarter(n int) float64 {
	part := s.Resident[n*len(s.Resident)/4 : (n+1)*len(s.Resident)/4]
	var sum float64
	for _, r := range part {
		sum += float64(r)
	}
	return sum / float64(max(1, len(part))) / (1 << 20)
}

func (s *soaked) goals() []goal {
	return []goal{
		{Of: "soak: memory, of the second quarter's", Bound: 1.03, Got: s.quarter(3) / s.quarter(1)},
		{Of: "soak: goroutines left over", Got: float64(s.After.Goroutines - s.Before.Goroutines)},
		{Of: "soak: open files left over", Got: float64(s.After.Files - s.Before.Files)},
	}
}

func printSoak(w io.Writer, s *soaked) {
	t := newTable(w, "soak|jobs|mean MiB, by quarters||||goroutines, idle before|after|open files before|after")
	defer t.Flush()
	fmt.Fprintf(t, "%s\t%d", (time.Duration(s.Seconds) * time.Second), s.Jobs)
	for n := range 4 {
		fmt.Fprintf(t, "\t%.1f", s.quarter(n))
	}
	fmt.Fprintf(t, "\t%d\t%d\t%d\t%d\n", s.Before.Goroutines, s.After.Goroutines, s.Before.Files, s.After.Files)
}

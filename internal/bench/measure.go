package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
)

// sample is one measured run of a row by one program.
type sample struct {
	Seconds float64 `json:"seconds"`
	// JobsPerSecond and MBPerSecond (10^6 bytes) are of files delivered.
	JobsPerSecond float64 `json:"jobs_per_second"`
	MBPerSecond   float64 `json:"mb_per_second"`
	// CPU is the program's own, in seconds per 1000 jobs and per 10^9 bytes.
	CPUPer1000 float64 `json:"cpu_per_1000"`
	CPUPerGB   float64 `json:"cpu_per_gb"`
	// PeakRSS is in bytes, from the start of the program.
	PeakRSS int64 `json:"peak_rss"`
	// What follows is of runs of the worker alone.
	NATSPer1000   float64 `json:"nats_cpu_per_1000,omitempty"`
	MallocsPerJob float64 `json:"mallocs_per_job,omitempty"`
	BytesPerJob   float64 `json:"allocated_bytes_per_job,omitempty"`
}

// moment is what was used up to a time.
type moment struct {
	at        time.Time
	cpu, nats time.Duration
}

// watch notes the moments between which a run is measured.
type watch struct {
	pid, natsPID int
	began, ended moment
	err          error
}

func (w *watch) now() moment {
	m := moment{at: time.Now()}
	var err error
	if m.cpu, err = cpuOf(w.pid); err != nil {
		w.err = err
	}
	if w.natsPID != 0 {
		if m.nats, err = cpuOf(w.natsPID); err != nil {
			w.err = err
		}
	}
	return m
}

// sample is what was used between the moments, for jobs of size bytes.
func (w *watch) sample(jobs, size int) (sample, error) {
	if w.err != nil {
		return sample{}, w.err
	}
	seconds := w.ended.at.Sub(w.began.at).Seconds()
	cpu := (w.ended.cpu - w.began.cpu).Seconds()
	bytes := float64(jobs) * float64(size)
	peak, err := peakOf(w.pid)
	return sample{
		Seconds: seconds, JobsPerSecond: float64(jobs) / seconds, MBPerSecond: bytes / 1e6 / seconds,
		CPUPer1000: cpu / float64(jobs) * 1000, CPUPerGB: cpu / bytes * 1e9, PeakRSS: peak,
		NATSPer1000: (w.ended.nats - w.began.nats).Seconds() / float64(jobs) * 1000,
	}, err
}

// runWorker measures the worker: the jobs are there before it starts, and the
// clock runs from one accepted event to another.
func (s *stage) runWorker(ctx context.Context, r row, receiver *devstack.ServerProcess, authority, profile string) (out sample, err error) {
	key, err := s.document(ctx, r.Size)
	if err != nil {
		return sample{}, err
	}
	q, err := s.queue(ctx)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	if err := q.publish(ctx, order{"job", r.Warm + r.Jobs + r.spare(), lanes, key, r.Transfer}); err != nil {
		return sample{}, err
	}
	warm, done, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var p *process
	var w watch
	var started sync.WaitGroup
	started.Add(1)
	stop, err := q.count(func(n int) {
		started.Wait()
		switch n {
		case r.Warm:
			w.began = w.now()
			close(warm)
		case r.Warm + r.Jobs:
			w.ended = w.now()
			close(done)
		}
	}, func(err error) { offer(failed, err) })
	if err != nil {
		return sample{}, err
	}
	defer stop()
	p, err = s.worker(workerSettings{name: "worker", nats: q.server.URL(), redox: receiver.URL(), authority: authority, slots: r.Slots, pprof: profile != ""})
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	w.pid, w.natsPID = p.pid(), q.server.PID()
	started.Done()
	if err := await(ctx, warm, p, failed); err != nil {
		return sample{}, err
	}
	before, err := p.metric(ctx, mallocs...)
	if err != nil {
		return sample{}, err
	}
	profiled := s.profile(ctx, p, profile, r.Name)
	if err := await(ctx, done, p, failed); err != nil {
		return sample{}, err
	}
	after, err := p.metric(ctx, mallocs...)
	if err != nil {
		return sample{}, err
	}
	if out, err = w.sample(r.Jobs, r.Size); err != nil {
		return sample{}, err
	}
	out.MallocsPerJob = (after[0] - before[0]) / float64(r.Jobs)
	out.BytesPerJob = (after[1] - before[1]) / float64(r.Jobs)
	return out, <-profiled
}

// lanes is how many lanes the jobs of a row are in. The worker may have all its
// slots in any one of them.
const lanes = 8

// mallocs are Go's own counters of what a program allocated.
var mallocs = []string{"go_memstats_mallocs_total", "go_memstats_alloc_bytes_total"}

// runPipe measures the bare pipe at the same work.
func (s *stage) runPipe(ctx context.Context, r row, receiver *devstack.ServerProcess, authority, hashes string) (out sample, err error) {
	key, err := s.document(ctx, r.Size)
	if err != nil {
		return sample{}, err
	}
	cmd := exec.Command(s.pipe, "-s3", s.s3.URL(), "-bucket", bucket, "-key", key, "-redox", receiver.URL(), "-ca", authority, "-blob-host", blobHost,
		"-hash", hashes, "-slots", strconv.Itoa(r.Slots), "-warm", strconv.Itoa(r.Warm), "-files", strconv.Itoa(r.Jobs))
	cmd.Env = s.environment()
	in, err := cmd.StdinPipe()
	if err != nil {
		return sample{}, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	p, err := s.start(cmd, "pipe")
	if err != nil {
		return sample{}, err
	}
	defer func() {
		_ = in.Close()
		<-p.done
		err = errors.Join(err, p.ended())
	}()
	w := watch{pid: p.pid()}
	lines := bufio.NewScanner(said)
	for _, to := range []*moment{&w.began, &w.ended} {
		if !lines.Scan() {
			return sample{}, errors.New("the pipe ended before it was done")
		}
		*to = w.now()
	}
	return w.sample(r.Jobs, r.Size)
}

// longest bounds a run against a hang.
const longest = 10 * time.Minute

// await waits for a moment of a run.
func await(ctx context.Context, moment <-chan struct{}, p *process, failed <-chan error) error {
	select {
	case <-moment:
		return nil
	case err := <-failed:
		return err
	case <-p.done:
		return fmt.Errorf("the worker has ended: %w", p.ended())
	case <-time.After(longest):
		return errors.New("the jobs do not come to an end")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// offer gives a value to whoever waits for the first.
func offer[T any](to chan<- T, value T) {
	select {
	case to <- value:
	default:
	}
}

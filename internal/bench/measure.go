package main

import (
	"errors"
	"time"
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
	// PeakRSS is in bytes, from the start of the program; of several workers it
	// is the largest.
	PeakRSS int64 `json:"peak_rss"`
	// What follows is of runs of the worker alone.
	NATSPer1000   float64 `json:"nats_cpu_per_1000,omitempty"`
	MallocsPerJob float64 `json:"mallocs_per_job,omitempty"`
	BytesPerJob   float64 `json:"allocated_bytes_per_job,omitempty"`
	// Consumers is the most that the jobs stream had at once.
	Consumers int `json:"consumers,omitempty"`
}

// moment is what was used up to a time.
type moment struct {
	at        time.Time
	cpu, nats time.Duration
}

// watch notes the moments between which a run is measured.
type watch struct {
	// pids are the programs under measurement, nats are beside them.
	pids, nats   []int
	began, ended moment
	err          error
}

func (w *watch) now() moment {
	m := moment{at: time.Now()}
	for _, pid := range w.pids {
		m.cpu += w.cpuOf(pid)
	}
	for _, pid := range w.nats {
		m.nats += w.cpuOf(pid)
	}
	return m
}

func (w *watch) cpuOf(pid int) time.Duration {
	cpu, err := cpuOf(pid)
	w.err = errors.Join(w.err, err)
	return cpu
}

// sample is what was used between the moments, for jobs of size bytes.
func (w *watch) sample(jobs, size int) (sample, error) {
	if w.err != nil {
		return sample{}, w.err
	}
	seconds := w.ended.at.Sub(w.began.at).Seconds()
	cpu := (w.ended.cpu - w.began.cpu).Seconds()
	bytes := float64(jobs) * float64(size)
	var peak int64
	for _, pid := range w.pids {
		one, err := peakOf(pid)
		if err != nil {
			return sample{}, err
		}
		peak = max(peak, one)
	}
	return sample{
		Seconds: seconds, JobsPerSecond: float64(jobs) / seconds, MBPerSecond: bytes / 1e6 / seconds,
		CPUPer1000: cpu / float64(jobs) * 1000, CPUPerGB: cpu / bytes * 1e9, PeakRSS: peak,
		NATSPer1000: (w.ended.nats - w.began.nats).Seconds() / float64(jobs) * 1000,
	}, nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that was measured.
type report struct {
	About   about     `json:"about"`
	Rows    []result  `json:"rows,omitempty"`
	Latency []latency `json:"latency,omitempty"`
	Startup *startup  `json:"startup,omitempty"`
	Scale   []scaled  `json:"scale,omitempty"`
	Size    *size     `json:"size,omitempty"`
	Flood   *flooded  `json:"flood,omitempty"`
	Idle    *idled    `json:"idle,omitempty"`
	Intake  *taken    `json:"intake,omitempty"`
	Soak    *soaked   `json:"soak,omitempty"`
}

// about says of what and where the figures are.
type about struct {
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
	Go     string    `json:"go"`
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Synced bool      `json:"nats_synced"`
	// Replicas is how many nats-servers each queue has.
	Replicas int `json:"nats_servers"`
}

func describe(ctx context.Context, synced bool, replicas int) (about, error) {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		commit = []byte("no git checkout")
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return about{}, err
	}
	return about{
		Commit: strings.TrimSpace(string(commit)), At: time.Now().UTC().Truncate(time.Second),
		Go: runtime.Version(), CPU: modelOf(string(cpu)), Cores: runtime.NumCPU(), Synced: synced, Replicas: replicas,
	}, nil
}

// modelOf is the first model name in /proc/cpuinfo.
func modelOf(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// each is one figure of every run.
func each(runs []sample, figure func(sample) float64) []float64 {
	values := make([]float64, len(runs))
	for i, run := range runs {
		values[i] = figure(run)
	}
	return values
}

func jobsPerSecond(s sample) float64 { return s.JobsPerSecond }
func mbPerSecond(s sample) float64   { return s.MBPerSecond }
func cpuPer1000(s sample) float64    { return s.CPUPer1000 }
func cpuPerGB(s sample) float64      { return s.CPUPerGB }
func peakMiB(s sample) float64       { return float64(s.PeakRSS) / (1 << 20) }
func natsPer1000(s sample) float64   { return s.NATSPer1000 }
func consumers(s sample) float64     { return float64(s.Consumers) }
func mallocsPerJob(s sample) float64 { return s.MallocsPerJob }
func kBPerJob(s sample) float64      { return s.BytesPerJob / 1000 }

// print writes the tables, without the blanks that they leave at ends of lines.
func (r *report) print(w io.Writer) {
	var tables strings.Builder
	r.write(&tables)
	for line := range strings.Lines(tables.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

func (r *report) write(w io.Writer) {
	a := r.About
	fmt.Fprintf(w, "%s, %s, %s, %d × %s, NATS synced: %t, servers: %d\n", a.Commit, a.At.Format(time.DateTime), a.Go, a.Cores, a.CPU, a.Synced, a.Replicas)
	if len(r.Rows) > 0 {
		printRows(w, r.Rows)
	}
	if len(r.Latency) > 0 {
		printLatency(w, r.Latency)
	}
	if r.Startup != nil {
		printStartup(w, r.Startup)
	}
	if len(r.Scale) > 0 {
		printScale(w, r.Scale)
	}
	if r.Size != nil {
		printSize(w, r.Size)
	}
	if r.Flood != nil {
		printFlood(w, r.Flood)
	}
	if r.Idle != nil {
		printIdle(w, r.Idle)
	}
	if r.Soak != nil {
		printSoak(w, r.Soak)
	}
	if goals := r.goals(); len(goals) > 0 {
		printGoals(w, goals)
	}
}

func newTable(w io.Writer, head string) *tabwriter.Writer {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	fmt.Fprintln(t, strings.ReplaceAll(head, "|", "\t"))
	return t
}

// printRows gives medians, the spread of the rate as a part of it, and what part
// of the pipe's rate the worker reached and how many times its CPU it took.
func printRows(w io.Writer, rows []result) {
	t := newTable(w, "row|who|jobs/s|±|MB/s|CPU s/1000|CPU s/GB|peak MiB|of pipe's rate|× pipe's CPU|NATS CPU s/1000|mallocs/job|kB/job")
	defer t.Flush()
	for _, r := range rows {
		m := func(figure func(sample) float64) float64 { return median(each(r.Worker, figure)) }
		fmt.Fprintf(t, "%s\tworker\t%s\t\t\t%.3f\t%.0f\t%.0f\n", r.Row.Name, common(r.Worker), m(natsPer1000), m(mallocsPerJob), m(kBPerJob))
		for _, p := range r.Pipes {
			fmt.Fprintf(t, "\tpipe %s\t%s\t%.0f %%\t%.2f\t\t\t\n", p.Hashes, common(p.Runs),
				100*m(jobsPerSecond)/median(each(p.Runs, jobsPerSecond)), m(cpuPer1000)/median(each(p.Runs, cpuPer1000)))
		}
	}
}

// common is what worker and pipes both have.
func common(runs []sample) string {
	m := func(figure func(sample) float64) float64 { return median(each(runs, figure)) }
	return fmt.Sprintf("%.0f\t%.0f %%\t%.0f\t%.3f\t%.2f\t%.1f", m(jobsPerSecond), 50*spread(each(runs, jobsPerSecond)), m(mbPerSecond),
		m(cpuPer1000), m(cpuPerGB), m(peakMiB))
}

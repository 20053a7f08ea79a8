package main

import (
	"fmt"
	"io"
	"slices"
)

// goal is a bound on one figure.
type goal struct {
	Of    string  `json:"of"`
	Bound float64 `json:"bound"`
	// Least is that the figure is to be no less than the bound; else no more.
	Least bool    `json:"least,omitempty"`
	Got   float64 `json:"got"`
}

func (g goal) met() bool {
	if g.Least {
		return g.Got >= g.Bound
	}
	return g.Got <= g.Bound
}

// goals are the bounds on what was measured.
func (r *report) goals() []goal {
	var all []goal
	for _, one := range r.Rows {
		all = append(all, one.goals()...)
	}
	for _, l := range r.Latency {
		all = append(all,
			goal{Of: fmt.Sprintf("latency, %s: p50 ms", l.Transfer), Bound: 5, Got: l.P50},
			goal{Of: fmt.Sprintf("latency, %s: p99 ms", l.Transfer), Bound: 15, Got: l.P99})
	}
	if r.Startup != nil {
		all = append(all, goal{Of: "startup: ms to /readyz", Bound: 150, Got: median(r.Startup.Answer)})
	}
	if r.Intake != nil {
		all = append(all, r.Intake.goals()...)
	}
	if r.Soak != nil {
		all = append(all, r.Soak.goals()...)
	}
	for _, s := range r.Scale[min(1, len(r.Scale)):] {
		if s.Drained {
			continue
		}
		got := median(each(s.Runs, cpuPer1000)) / median(each(r.Scale[0].Runs, cpuPer1000))
		all = append(all, goal{Of: "scale, " + s.Name + ": CPU of the first", Bound: 1.1, Got: got})
	}
	if r.Flood != nil {
		all = append(all, goal{Of: "flood: ms until a job to another destination is accepted", Bound: 2000, Got: percentile(r.Flood.Others, 1)})
	}
	if r.Idle != nil {
		all = append(all, goal{Of: "idle: % of a core for a nats-server", Bound: 3, Got: max(r.Idle.Served, r.Idle.Settled)})
	}
	return append(all, drainedGoals(r.Scale)...)
}

// defaultLanes is how many lanes have a consumer at once by default.
const defaultLanes = 500

// drainedGoals hold a backlog in many lanes against the same in few.
func drainedGoals(all []scaled) []goal {
	first := slices.IndexFunc(all, func(s scaled) bool { return s.Drained })
	var goals []goal
	for i, s := range all {
		if first < 0 || i <= first || !s.Drained {
			continue
		}
		goals = append(goals,
			goal{Of: "scale, " + s.Name + ": time per job of " + all[first].Name, Bound: 1.5, Got: median(each(all[first].Runs, jobsPerSecond)) / median(each(s.Runs, jobsPerSecond))},
			goal{Of: "scale, " + s.Name + ": peak MiB", Bound: 96, Got: median(each(s.Runs, peakMiB))},
			goal{Of: "scale, " + s.Name + ": consumers", Bound: defaultLanes, Got: median(each(s.Runs, consumers))})
	}
	return goals
}

// goals of a row are those of small files, which the queue's cost decides, and
// those of large ones, which are held against the pipe that does the same work.
func (r result) goals() []goal {
	m := func(figure func(sample) float64) float64 { return median(each(r.Worker, figure)) }
	var all []goal
	if r.Row.Name == "50kB-16" {
		all = append(all,
			goal{Of: r.Row.Name + ": jobs/s", Bound: 2000, Least: true, Got: m(jobsPerSecond)},
			goal{Of: r.Row.Name + ": CPU s/1000", Bound: 0.6, Got: m(cpuPer1000)})
	}
	if r.Row.Size < 10*mB {
		return all
	}
	if i := slices.IndexFunc(r.Pipes, func(p piped) bool { return p.Hashes == sameWork }); i >= 0 {
		pipe := r.Pipes[i].Runs
		all = append(all,
			goal{Of: r.Row.Name + ": of the pipe's MB/s", Bound: 0.85, Least: true, Got: m(mbPerSecond) / median(each(pipe, mbPerSecond))},
			goal{Of: r.Row.Name + ": of the pipe's CPU s/GB", Bound: 1.2, Got: m(cpuPerGB) / median(each(pipe, cpuPerGB))})
	}
	return append(all, goal{Of: r.Row.Name + ": peak MiB", Bound: peakGoal(r.Row.Slots), Got: m(peakMiB)})
}

// peakGoal is how many MiB a worker with so many large files in flight may need.
func peakGoal(slots int) float64 {
	if slots > 16 {
		return 64
	}
	return 48
}

// sameWork is the pipe that hashes as the worker does.
const sameWork = "both"

func printGoals(w io.Writer, all []goal) {
	t := newTable(w, "goal||bound|measured|")
	defer t.Flush()
	for _, g := range all {
		sign, verdict := "≤", "missed"
		if g.Least {
			sign = "≥"
		}
		if g.met() {
			verdict = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%g\t%.2f\t%s\n", g.Of, sign, g.Bound, g.Got, verdict)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/chartpost/chartpost/schemas"
)

// scaled is all runs of one load of the comparison.
type scaled struct {
	Name    string `json:"name"`
	Lanes   int    `json:"lanes"`
	Queued  int    `json:"queued"`
	Workers int    `json:"workers"`
	// Drained is that all queued jobs are delivered and none is replaced, so that the
	// rate is that of a whole backlog.
	Drained bool     `json:"drained,omitempty"`
	Runs    []sample `json:"runs"`
}

// scales are loads that differ in one thing each from the first. Their jobs are
// small and embedded, so that the queue's part in the cost is large. Every
// accepted job is replaced, so that the queue stays as deep as it was, except where
// a backlog is drained.
var scales = []scaled{
	{Name: "1 lane, 10³ queued", Lanes: 1, Queued: 1_000, Workers: 1},
	{Name: "300 lanes", Lanes: 300, Queued: 1_000, Workers: 1},
	{Name: "10⁶ queued", Lanes: 1, Queued: 1_000_000, Workers: 1},
	{Name: "300 lanes, 10⁶ queued", Lanes: 300, Queued: 1_000_000, Workers: 1},
	{Name: "2 workers", Lanes: 1, Queued: 1_000, Workers: 2},
	{Name: "4 workers", Lanes: 1, Queued: 1_000, Workers: 4},
	{Name: "8 lanes drained", Lanes: 8, Queued: 200_000, Workers: 1, Drained: true},
	{Name: "1,500 lanes drained", Lanes: 1500, Queued: 30_000, Workers: 1, Drained: true},
	{Name: "10,000 lanes drained", Lanes: 10_000, Queued: 200_000, Workers: 1, Drained: true},
}

var scaleRow = row{Name: "scale", Size: 5 * kB, Slots: 16, Transfer: schemas.Embed, Jobs: 20_000, Warm: 2000}

// measureScale measures the loads in turn.
func measureScale(ctx context.Context, s *stage, o options, to *report) (err error) {
	receiver, _, err := s.redox(ctx, row{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	one := scaleRow
	one.Jobs = max(1, int(float64(one.Jobs)*o.factor))
	for _, l := range scales {
		if l.begins(o.loads) {
			to.Scale = append(to.Scale, l)
		}
	}
	for n := range o.runs {
		for i := range to.Scale {
			l := &to.Scale[i]
			took, err := s.try(ctx, l.load(one, o.factor), place{receiver: receiver})
			if err != nil {
				return fmt.Errorf("%s: %w", l.Name, err)
			}
			l.Runs = append(l.Runs, took)
			progress("scale run %d of %d: %s: %.0f jobs/s, %.3f CPU s/1000", n+1, o.runs, l.Name, took.JobsPerSecond, took.CPUPer1000)
		}
	}
	return nil
}

// begins reports whether the load's name has one of the beginnings.
func (l scaled) begins(with string) bool {
	return slices.ContainsFunc(strings.Split(with, ";"), func(b string) bool { return strings.HasPrefix(l.Name, strings.TrimSpace(b)) })
}

// load is one run; factor is the part of a backlog that is drained.
func (l scaled) load(r row, factor float64) load {
	if !l.Drained {
		return load{row: r, lanes: l.Lanes, workers: l.Workers, queued: l.Queued, refilled: true}
	}
	queued := max(l.Lanes, int(float64(l.Queued)*factor))
	r.Warm = min(r.Warm, queued/10)
	r.Jobs = queued - r.Warm
	return load{row: r, lanes: l.Lanes, workers: l.Workers, queued: queued}
}

func printScale(w io.Writer, all []scaled) {
	t := newTable(w, "load|jobs/s|±|CPU s/1000|of the first|NATS CPU s/1000|peak MiB|consumers")
	defer t.Flush()
	first := median(each(all[0].Runs, cpuPer1000))
	for _, l := range all {
		m := func(figure func(sample) float64) float64 { return median(each(l.Runs, figure)) }
		fmt.Fprintf(t, "%s\t%.0f\t%.0f %%\t%.3f\t%.0f %%\t%.3f\t%.1f\t%.0f\n", l.Name, m(jobsPerSecond), 50*spread(each(l.Runs, jobsPerSecond)),
			m(cpuPer1000), 100*m(cpuPer1000)/first, m(natsPer1000), m(peakMiB), m(consumers))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/chartpost/chartpost/schemas"
)

// result is all runs of a row.
type result struct {
	Row    row      `json:"row"`
	Worker []sample `json:"worker"`
	Pipes  []piped  `json:"pipes,omitempty"`
}

// piped is all runs of a row by one kind of pipe.
type piped struct {
	Hashes string   `json:"hashes"`
	Runs   []sample `json:"runs"`
}

// measureRows measures worker and pipes in turn, so that whatever else the
// machine does falls on all of them.
func measureRows(ctx context.Context, s *stage, o options, to *report) error {
	rows, err := chosenRows(o.only, o.factor)
	if err != nil {
		return err
	}
	for _, r := range rows {
		one, err := s.measureRow(ctx, r, o)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		to.Rows = append(to.Rows, one)
	}
	return nil
}

func (s *stage) measureRow(ctx context.Context, r row, o options) (out result, err error) {
	receiver, authority, err := s.redox(ctx, r)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()
	out = result{Row: r, Pipes: pipesOf(r, o.pipes)}
	for i := range o.runs {
		took, err := s.try(ctx, r.load(), place{receiver, authority, o.profile})
		if err != nil {
			return result{}, err
		}
		out.Worker = append(out.Worker, took)
		text := fmt.Sprintf("worker %.0f", took.JobsPerSecond)
		for n := range out.Pipes {
			pipe := &out.Pipes[n]
			took, err := s.runPipe(ctx, r, receiver, authority, pipe.Hashes)
			if err != nil {
				return result{}, err
			}
			pipe.Runs = append(pipe.Runs, took)
			text += fmt.Sprintf(", pipe %s %.0f", pipe.Hashes, took.JobsPerSecond)
		}
		progress("%s run %d of %d: %s jobs/s", r.Name, i+1, o.runs, text)
	}
	return out, nil
}

// pipesOf are the pipes to measure beside a row. A pipe embeds nothing, and
// knows of no queue.
func pipesOf(r row, names string) (list []piped) {
	if r.Transfer != schemas.Upload || r.Synced || names == "" {
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		list = append(list, piped{Hashes: name})
	}
	return list
}

// chosenRows are the named rows with a part of their jobs.
func chosenRows(names string, factor float64) ([]row, error) {
	var rows []row
	for name := range strings.SplitSeq(names, ",") {
		before := len(rows)
		for _, r := range table {
			start, all := strings.CutSuffix(name, "*")
			if names == "" || r.Name == name || all && strings.HasPrefix(r.Name, start) {
				r.Jobs = max(1, int(math.Round(float64(r.Jobs)*factor)))
				rows = append(rows, r)
			}
		}
		if len(rows) == before {
			return nil, fmt.Errorf("there is no row %q", name)
		}
	}
	return rows, nil
}

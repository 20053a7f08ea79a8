package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/schemas"
)

// readJob reads a job file; "-" is in.
func readJob(ctx context.Context, path string, in io.Reader) ([]byte, error) {
	var from io.ReadCloser
	if path == "-" {
		from = cli.Interruptible(ctx, in)
	} else {
		file, err := os.Open(path)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("the job file: %w", cli.Cause(err)))
		}
		from = file
	}
	defer from.Close()
	data, err := cli.ReadLimited(from)
	if ctx.Err() != nil {
		return nil, cli.ErrInterrupted
	}
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading the job: %w", cli.Cause(err)))
	}
	return data, nil
}

// understand reads a job as a worker of its environment will. On the author's
// own terminal, and nowhere else, an offending key is shown as it was written.
func understand(data []byte, sourceID string, terminal bool) (schemas.Job, error) {
	job, err := schemas.DecodeJob(data)
	if err != nil {
		return job, cli.Usage(explain(err, terminal))
	}
	worker := app.Pipeline(nil, nil, app.Redox{Environment: string(job.Destination.Environment), SourceID: sourceID}, app.Files{}, app.Message{}, app.Delivery{})
	understood, err := worker.Understand(schemas.Lane{Class: schemas.Live, Destination: job.Destination.Address()}, data)
	if err != nil {
		return understood.Job, cli.Usage(fmt.Errorf("the job would be refused: %w", err))
	}
	return understood.Job, nil
}

// explain puts each problem of a job on a line of its own.
func explain(err error, terminal bool) error {
	invalid, ok := errors.AsType[*schemas.Invalid](err)
	if !ok {
		return err
	}
	lines := []string{"the job would be refused:"}
	for _, p := range invalid.Problems {
		line := "  " + p.String()
		if key := p.Key(); key != "" && terminal {
			line += fmt.Sprintf(" (the key is %q)", key)
		}
		lines = append(lines, line)
	}
	if invalid.More > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", invalid.More))
	}
	return errors.New(strings.Join(lines, "\n"))
}

package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/schemas"
)

// sampleFlags ask for messages to look at.
type sampleFlags struct {
	Sample    int    `placeholder:"N" help:"Write the exact messages of N lines, chosen over the whole manifest, patient data and all. Their files are read from S3." percall:""`
	SampleDir string `type:"path" placeholder:"DIR" help:"Where --sample writes line-LINE.json; made where it is missing." percall:""`
	SourceID  string `name:"redox-source-id" placeholder:"UUID" help:"Redox source where the job names none, as the worker has it."`

	Files app.Files `embed:""`
}

func (f sampleFlags) check() error {
	var faults []error
	if f.Sample < 0 {
		faults = append(faults, errors.New("--sample must not be negative"))
	}
	if (f.Sample > 0) != (f.SampleDir != "") {
		faults = append(faults, errors.New("--sample goes together with --sample-dir DIR: messages hold patient data, so you say where they go"))
	}
	return errors.Join(append(faults, app.CheckSourceID(f.SourceID), f.Files.Check())...)
}

// samples writes the messages of the plan's sample. It says what a worker would refuse, and
// goes on with the next line.
func (c *planCmd) samples(ctx context.Context, std cli.Streams, source *s3source.Source, sample *planning.Sample) error {
	if c.Sampling.Sample == 0 {
		return nil
	}
	if err := os.MkdirAll(c.Sampling.SampleDir, 0o700); err != nil {
		return cli.Usage(fmt.Errorf("--sample-dir: %w", cli.Cause(err)))
	}
	jobs, written := sample.Jobs(), 0
	for _, one := range jobs {
		err := c.message(ctx, source, one)
		switch {
		case ctx.Err() != nil:
			return cli.ErrInterrupted
		case errors.Is(err, errSampleDir):
			return err
		case err != nil:
			fmt.Fprintf(std.Err, "line %d has no message: %v\n", one.Line, err)
		default:
			written++
		}
	}
	fmt.Fprintf(std.Err, "%d messages are in --sample-dir, patient data and all: delete them when you have looked\n", written)
	if written < len(jobs) {
		return fmt.Errorf("%d of the %d lines of --sample have no message\nif it is about S3: %s", len(jobs)-written, len(jobs), cli.AdviceS3)
	}
	return nil
}

// errSampleDir is a place that takes no messages.
var errSampleDir = errors.New("--sample-dir")

// message writes the message of one line, byte for byte as a worker would post it.
func (c *planCmd) message(ctx context.Context, source *s3source.Source, one planning.Sampled) error {
	job, err := schemas.DecodeJob(one.Data)
	if err != nil {
		return err
	}
	line := app.Pipeline(source, nil, app.Redox{Environment: string(job.Destination.Environment), SourceID: c.Sampling.SourceID}, c.Sampling.Files, c.Message, c.delivery())
	understood, err := line.Understand(schemas.Lane{Class: schemas.Backfill, Destination: job.Destination.Address()}, one.Data)
	if err != nil {
		return err
	}
	letter, err := line.Preview(ctx, understood.Job)
	if err != nil {
		return err
	}
	body, err := letter.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	file, err := os.OpenFile(filepath.Join(c.Sampling.SampleDir, fmt.Sprintf("line-%d.json", one.Line)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", errSampleDir, cli.Cause(err))
	}
	defer file.Close()
	if _, err := io.Copy(file, body); err != nil {
		return err
	}
	return file.Close()
}

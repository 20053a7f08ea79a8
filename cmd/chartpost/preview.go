package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

type previewCmd struct {
	jobFlags   `embed:""`
	SourceID   string `name:"redox-source-id" placeholder:"UUID" help:"Redox source where the job names none." group:"Job"`
	EmbedLimit int64  `default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds." group:"Job"`
	FileLimit  int64  `default:"30000000" help:"Largest file, in bytes." group:"Job"`
	S3         app.S3 `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (previewCmd) Help() string {
	return `The message goes to standard output, byte for byte as the worker would post it; where it would go is on standard error. It holds patient data, as the message does. Files are read from S3; the URL of an uploaded file is known only after the upload, so a preview shows a stand-in.`
}

func (c *previewCmd) Run(ctx context.Context, std streams) error {
	if c.Upload != "" {
		return usage(errors.New("--upload changes S3 and a preview changes nothing; name a file that is in S3 already"))
	}
	_, job, err := c.load(std.in, time.Now())
	if err != nil {
		return err
	}
	if err := c.S3.Check(); err != nil {
		return usage(err)
	}
	delivery := app.Delivery{Concurrency: 1, Stall: time.Minute, EmbedLimit: c.EmbedLimit, FileLimit: c.FileLimit}
	source, err := app.Source(ctx, c.S3, delivery)
	if err != nil {
		return err
	}
	if job.SourceID == "" {
		job.SourceID = c.SourceID
	}
	letter, err := app.Pipeline(source, nil, app.Redox{}, delivery).Preview(ctx, job)
	if err != nil {
		return err
	}
	return c.print(ctx, std, job, letter)
}

func (c *previewCmd) print(ctx context.Context, std streams, job schemas.Job, letter pipeline.Letter) error {
	fmt.Fprintf(std.err, "POST /fhir/R4/%s/%s/%s\nContent-Type: %s\nContent-Length: %d\n",
		job.Destination.Slug, job.Destination.Environment, letter.Path, letter.ContentType, letter.Size)
	if letter.SourceID != "" {
		fmt.Fprintf(std.err, "Redox-source-Id: %s\n", letter.SourceID)
	}
	fmt.Fprintln(std.err)
	body, err := letter.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(std.out, body); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out)
	return err
}

package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// PreviewCmd prints the message of a job.
type PreviewCmd struct {
	Job string `arg:"" optional:"" help:"Job as a JSON file; - reads standard input. Without it the flags below make one."`

	jobFlags `embed:"" group:"Job"`

	SourceID   string `name:"redox-source-id" placeholder:"UUID" help:"Redox source where the job names none, as the worker has it." group:"Worker"`
	EmbedLimit int64  `default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds." group:"Worker"`
	FileLimit  int64  `default:"30000000" help:"Largest file, in bytes." group:"Worker"`

	Files   app.Files   `embed:"" group:"Files"`
	Message app.Message `embed:"" group:"Message"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (PreviewCmd) Help() string {
	return `Examples:

  chartpost preview job.json | jq .
  chartpost preview job.json > message.json

The message goes to standard output, byte for byte as the worker would post it, patient data and all; where it would go is on standard error. What the worker would refuse is refused here; only whether the worker serves the job's environment is not known.

Files are read from S3. The URL of an uploaded file is known only after the upload, so a preview shows a stand-in.`
}

// Check finds what is wrong with the flags before anything is done.
func (c *PreviewCmd) Check(k *kong.Context) error {
	var noFile error
	if c.Job == "" && len(c.File) == 0 {
		noFile = errors.New("--file s3://BUCKET/KEY is required without a job file")
	}
	return errors.Join(c.withJob(c.Job, k), noFile, app.CheckSourceID(c.SourceID), c.delivery().CheckLimits(), c.Files.Check(), c.Message.Check(), c.S3.Check())
}

func (c *PreviewCmd) delivery() app.Delivery {
	return app.Delivery{Concurrency: 1, Stall: time.Minute, EmbedLimit: c.EmbedLimit, FileLimit: c.FileLimit}
}

// Run executes the command.
func (c *PreviewCmd) Run(ctx context.Context, std cli.Streams) error {
	data, err := c.read(ctx, std, time.Now())
	if err != nil {
		return err
	}
	job, err := understand(data, c.SourceID, std.ErrTerminal)
	if err != nil {
		return err
	}
	source, err := app.Source(ctx, c.S3, c.delivery())
	if err != nil {
		return err
	}
	letter, err := app.Pipeline(source, nil, app.Redox{}, c.Files, c.Message, c.delivery()).Preview(ctx, job)
	if err != nil {
		return fmt.Errorf("%w\nif it is about S3: %s", err, cli.AdviceS3At(c.S3.Endpoint))
	}
	return c.print(ctx, std, job, letter)
}

func (c *PreviewCmd) read(ctx context.Context, std cli.Streams, now time.Time) ([]byte, error) {
	if c.Job != "" {
		return readJob(ctx, c.Job, std.In)
	}
	if c.ID == "" {
		c.ID = newID(now)
	}
	data, err := c.build(now, nil)
	return data, cli.Usage(err)
}

func (c *PreviewCmd) print(ctx context.Context, std cli.Streams, job schemas.Job, letter pipeline.MessageRequest) error {
	fmt.Fprintf(std.Err, "POST %s\nContent-Type: %s\nContent-Length: %d\n", address(job.Destination, letter), letter.ContentType, letter.Size)
	if letter.SourceID != "" && !letter.DataModel {
		fmt.Fprintf(std.Err, "Redox-source-Id: %s\n", letter.SourceID)
	}
	if job.After != "" {
		fmt.Fprintf(std.Err, "(sent once job %s is accepted)\n", schemas.JobKey{Destination: job.Destination.Address(), ID: job.After})
	}
	if job.After == "" && job.DocumentOrder {
		fmt.Fprintln(std.Err, "(sent once the job that made the document which it replaces or amends is accepted)")
	}
	body, err := letter.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(std.Out, body); err != nil {
		return fmt.Errorf("the message: %w", err)
	}
	if std.OutTerminal {
		fmt.Fprintln(std.Out)
	}
	return nil
}

// address is the path of the request. A message of the Data Model says inside
// from whom and to whom it goes.
func address(to schemas.Destination, letter pipeline.MessageRequest) string {
	if letter.DataModel {
		return "/endpoint"
	}
	return fmt.Sprintf("/fhir/R4/%s/%s/%s", to.Slug, to.Environment, letter.Path)
}

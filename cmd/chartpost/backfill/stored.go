package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// openDesk connects the commands for runs.
func openDesk(ctx context.Context, n app.NATS, log *slog.Logger) (*desk, error) {
	queue, err := cli.Connect(n, "backfill", log)
	if err != nil {
		return nil, err
	}
	runs, err := queue.Runs(ctx)
	if err != nil {
		queue.Close()
		return nil, fmt.Errorf("%w\n%s", err, cli.AdviceStreams)
	}
	return &desk{queue, runs}, nil
}

// storedManifest is a manifest that is read several times and must stay the same.
type storedManifest struct {
	flags    *manifestFlags
	reading  backfill.Reading
	message  app.Message
	parsed   *manifest.Template
	template *backfill.Source
	// run is its start.
	run time.Time
	// whole holds lines to the rules of their messages too.
	whole      bool
	only       *backfill.Only
	onlySource *backfill.Source
	open       func(ctx context.Context) (io.ReadCloser, error)
	close      func() error
}

// check holds the flags to what reading several times needs.
func (c *manifestFlags) check() error {
	var faults []error
	switch c.Manifest {
	case "":
		faults = append(faults, errors.New("<manifest> is required: a file or s3://BUCKET/KEY; with --from it is the file that the list is written to"))
	case "-":
		faults = append(faults, errors.New("<manifest>: must be a file or s3://BUCKET/KEY: it is read more than once"))
	}
	return errors.Join(faults...)
}

func (c *readingFlags) check() error {
	if c.ExpiresAfter <= 0 {
		return fmt.Errorf("--expires-after (%s) must be more than 0", app.EnvironmentName("expires-after"))
	}
	return nil
}

// stored opens the manifest and the template.
func (c *manifestFlags) stored(ctx context.Context, s app.S3, message app.Message, reading backfill.Reading) (*storedManifest, error) {
	m := &storedManifest{flags: c, message: message, reading: reading, close: func() error { return nil }}
	parsed, size, err := c.template()
	if err != nil {
		return nil, cli.Usage(err)
	}
	if m.parsed = parsed; parsed != nil {
		m.template = &backfill.Source{SHA256: parsed.Digest(), Size: size}
	}
	if address, isS3 := strings.CutPrefix(c.Manifest, "s3://"); isS3 {
		return m, m.fromS3(ctx, s, address)
	}
	return m, m.fromFile(c.Manifest)
}

// fromFile keeps the file open, so that another one under its name is not taken
// for it, and notices when it is written to.
func (m *storedManifest) fromFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return cli.Usage(fmt.Errorf("the manifest: %w", cli.Cause(err)))
	}
	m.close = file.Close
	about, err := file.Stat()
	if err != nil {
		return cli.Usage(fmt.Errorf("the manifest: %w", cli.Cause(err)))
	}
	if !about.Mode().IsRegular() {
		return cli.Usage(errors.New("the manifest: must be a regular file: it is read more than once"))
	}
	m.open = func(context.Context) (io.ReadCloser, error) {
		now, err := file.Stat()
		if err != nil {
			return nil, err
		}
		if now.Size() != about.Size() || !now.ModTime().Equal(about.ModTime()) {
			return nil, backfill.ErrManifest
		}
		return io.NopCloser(io.NewSectionReader(file, 0, math.MaxInt64)), nil
	}
	return nil
}

// fromS3 pins the object.
func (m *storedManifest) fromS3(ctx context.Context, s app.S3, address string) error {
	bucket, key, _ := strings.Cut(address, "/")
	if bucket == "" || key == "" {
		return cli.Usage(errors.New("the manifest: must look like s3://BUCKET/KEY"))
	}
	source, err := app.Source(ctx, s, app.Delivery{Concurrency: 1, Stall: time.Minute})
	if err != nil {
		return err
	}
	var pin *job.Pin
	m.open = func(ctx context.Context) (io.ReadCloser, error) {
		object, err := source.Open(ctx, schemas.File{Bucket: bucket, Key: key}, pin)
		if err != nil {
			return nil, fmt.Errorf("the manifest: %w\n%s", err, cli.AdviceS3)
		}
		pin = &object.Pin
		return object.Body, nil
	}
	return nil
}

// Open gives the manifest from its start.
func (m *storedManifest) Open(ctx context.Context) (*backfill.Opened, error) {
	from, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := manifest.NewReader(from, options(m.reading))
	if err != nil {
		from.Close()
		return nil, cli.Usage(m.flags.hidePath(err))
	}
	run := manifest.Run{StartedAt: m.run, ExpiresAfter: m.reading.ExpiresAfter, SizeColumn: m.reading.SizeColumn}
	if m.whole {
		run.Check = compose.Composer{ObservationFile: m.message.ObservationFile, UploadedNote: m.message.UploadedNote}.Check
	}
	recipe, err := manifest.NewRecipe(m.parsed, reader, run)
	if err != nil {
		from.Close()
		return nil, cli.Usage(err)
	}
	return &backfill.Opened{Reader: reader, Recipe: recipe, Closer: from}, nil
}

// Close ends the reading.
func (m *storedManifest) Close() error { return m.close() }

// same refuses what is not as it was when the run began.
func (m *storedManifest) same(run backfill.Run, plan *planning.Plan) error {
	differs := func(a, b *backfill.Source) bool { return (a == nil) != (b == nil) || a != nil && a.SHA256 != b.SHA256 }
	var faults []error
	refuse := func(bad bool, what string) {
		if bad {
			faults = append(faults, fmt.Errorf("%s not as at the start of run %s", what, run.ID))
		}
	}
	refuse(plan.Manifest.SHA256 != run.Manifest.SHA256, "the manifest is")
	refuse(differs(run.Template, m.template), "the template is")
	refuse(differs(run.Only, m.onlySource), "the report of --only-failed is")
	refuse(!run.Reading.Equal(m.reading), "--format, --delimiter, --encoding, --columns, --size-column or --expires-after are")
	if len(faults) == 0 {
		refuse(plan.Lines != run.Lines || plan.Faulty != run.Faulty, "the rules that lines are held to are")
	}
	return errors.Join(faults...)
}

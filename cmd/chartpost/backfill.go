package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

type backfillCmd struct {
	Plan planCmd `cmd:"" help:"Read a manifest, check every line, estimate the time; send nothing."`
}

// manifestGroup is the heading of the flags that say what a manifest is. They
// are no settings of a deployment.
const manifestGroup = "Manifest"

// manifestFlags name a manifest and say how to read it.
type manifestFlags struct {
	Manifest string `arg:"" help:"Manifest: a file, s3://BUCKET/KEY, or - for standard input; CSV or NDJSON, plain or gzip."`

	Template     string        `type:"path" placeholder:"FILE" help:"YAML or JSON file that makes a job of each line. Without it each line of an NDJSON manifest is a job."`
	Format       string        `default:"auto" enum:"auto,csv,ndjson" placeholder:"auto" help:"csv, ndjson, or auto: NDJSON where the first byte is a brace."`
	Columns      []string      `placeholder:"NAME" help:"Names of the columns, where the manifest has no header line."`
	SizeColumn   string        `placeholder:"NAME" help:"Column with the size of a job's files, in bytes."`
	ExpiresAfter time.Duration `default:"720h" help:"How long after the start of the run its jobs are tried, where they do not say so themselves."`
}

type planCmd struct {
	manifestFlags `embed:"" group:"Manifest"`

	Quick           bool          `help:"Hold lines to the job's schema alone, not to the rules of its message; takes a third of the time." group:"Estimate"`
	Head            bool          `help:"Ask S3 for the size of every file." group:"Estimate"`
	HeadConcurrency int           `default:"64" help:"Questions to S3 at once." group:"Estimate"`
	EmbedLimit      int64         `default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds." group:"Estimate"`
	FileLimit       int64         `default:"30000000" help:"Largest file, in bytes." group:"Estimate"`
	BudgetRequests  int           `default:"7500" help:"Requests that Redox takes in each --budget-window." group:"Estimate"`
	BudgetWindow    time.Duration `default:"5m" help:"Window of --budget-requests." group:"Estimate"`
	Faults          int           `default:"20" help:"Faults to list." group:"Output"`
	JSON            bool          `name:"json" help:"Print the plan as JSON." group:"Output"`

	Message app.Message `embed:"" group:"Message"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`
}

// Help adds to the command's --help.
func (planCmd) Help() string {
	return `Every line is held to what a worker will hold its job to. Exit code 0 when all lines are jobs, 2 when one is not.

archive.csv has a line for each document:

  doc_id,mrn,last,born,sex,key
  A-1,0000001,Sample,19610412,M,2019/a-1.pdf

template.yaml is a job whose strings hold columns:

  id: "arch-{{ .doc_id }}"
  operation: documentreference-create
  destination: {slug: good-health, environment: Development}
  files: [{bucket: archive, key: "{{ .key }}"}]
  message:
    patient:
      resourceType: Patient
      identifier: [{system: urn:oid:1.2.3, value: "{{ .mrn }}"}]
      name: [{family: "{{ .last }}"}]
      gender: '{{ .sex | map "M" "male" "F" "female" "*" "unknown" }}'
      birthDate: '{{ .born | date "20060102" "2006-01-02" }}'
    resource: {resourceType: DocumentReference, status: current}

  chartpost backfill plan archive.csv --template template.yaml

An empty cell is a fault unless the template has default or omitempty for it. docs/backfill.md has all functions.`
}

func (c *planCmd) check(*kong.Context) error {
	var faults []error
	positive := func(ok bool, flag, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("--%s (%s) %s", flag, app.EnvironmentName(flag), rule))
		}
	}
	positive(c.ExpiresAfter > 0, "expires-after", "must be more than 0")
	positive(c.HeadConcurrency > 0, "head-concurrency", "must be at least 1")
	positive(c.BudgetRequests > 0, "budget-requests", "must be at least 1")
	positive(c.BudgetWindow > 0, "budget-window", "must be more than 0")
	positive(c.Faults >= 0, "faults", "must not be negative")
	return errors.Join(errors.Join(faults...), c.delivery().CheckLimits(), c.Message.Check(), c.S3.Check())
}

func (c *planCmd) delivery() app.Delivery {
	return app.Delivery{Concurrency: c.HeadConcurrency, Stall: time.Minute, EmbedLimit: c.EmbedLimit, FileLimit: c.FileLimit}
}

// planHeap is what Go may hold while a plan is made, softly.
const planHeap = 56 << 20

func (c *planCmd) Run(ctx context.Context, std streams) error {
	// What is alive is little and what is thrown away is much: the collector
	// need not run often, as long as the heap stays small.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(planHeap))
	source, err := app.Source(ctx, c.S3, c.delivery())
	if err != nil {
		return err
	}
	template, size, err := c.template()
	if err != nil {
		return usage(err)
	}
	from, err := c.open(ctx, source, std.in)
	if err != nil {
		return err
	}
	defer from.Close()
	reader, err := manifest.NewReader(from, c.options())
	if err != nil {
		return usage(hidePath(err))
	}
	start := time.Now()
	run := manifest.Run{StartedAt: start, ExpiresAfter: c.ExpiresAfter, SizeColumn: c.SizeColumn}
	if !c.Quick {
		run.Check = compose.Composer{ObservationFile: c.Message.ObservationFile, UploadedNote: c.Message.UploadedNote}.Check
	}
	recipe, err := manifest.NewRecipe(template, reader, run)
	if err != nil {
		return usage(err)
	}
	progress := &backfill.Progress{}
	stop := showProgress(std, progress, c.Head)
	plan, err := backfill.Make(ctx, reader, recipe, c.planOptions(start, source, progress))
	stop()
	if err != nil {
		return hidePath(err)
	}
	if template != nil {
		plan.Template = &backfill.Source{SHA256: template.Digest(), Size: size}
	}
	return c.print(std, plan)
}

// template reads the template, if there is one.
func (c *manifestFlags) template() (*manifest.Template, int64, error) {
	if c.Template == "" {
		return nil, 0, nil
	}
	file, err := os.Open(c.Template)
	if err != nil {
		return nil, 0, fmt.Errorf("--template: %w", cause(err))
	}
	defer file.Close()
	data, err := readLimited(file)
	if err != nil {
		return nil, 0, fmt.Errorf("--template: %w", cause(err))
	}
	t, err := manifest.ParseTemplate(data)
	return t, int64(len(data)), err
}

// open gives the manifest's bytes as stored.
func (c *manifestFlags) open(ctx context.Context, source *s3source.Source, in io.Reader) (io.ReadCloser, error) {
	if c.Manifest == "-" {
		return io.NopCloser(in), nil
	}
	address, isS3 := strings.CutPrefix(c.Manifest, "s3://")
	if !isS3 {
		file, err := os.Open(c.Manifest)
		if err != nil {
			return nil, usage(fmt.Errorf("the manifest: %w", cause(err)))
		}
		return file, nil
	}
	bucket, key, _ := strings.Cut(address, "/")
	if bucket == "" || key == "" {
		return nil, usage(errors.New("the manifest: must look like s3://BUCKET/KEY"))
	}
	object, err := source.Open(ctx, schemas.File{Bucket: bucket, Key: key}, nil)
	if err != nil {
		return nil, fmt.Errorf("the manifest: %w\n%s", err, adviceS3)
	}
	return object.Body, nil
}

func (c *manifestFlags) options() manifest.Options {
	o := manifest.Options{Columns: c.Columns}
	if c.Format != "auto" {
		o.Format = manifest.Format(c.Format)
	}
	return o
}

func (c *planCmd) planOptions(start time.Time, source *s3source.Source, progress *backfill.Progress) backfill.Options {
	o := backfill.Options{
		Goroutines: runtime.GOMAXPROCS(0), Start: start, EmbedLimit: c.EmbedLimit, FileLimit: c.FileLimit,
		Requests: c.BudgetRequests, Window: c.BudgetWindow, Faults: c.Faults,
		Salt: []byte(rand.Text()), Progress: progress,
	}
	if c.Head {
		o.Sizer, o.Heads = sizer{source}, c.HeadConcurrency
	}
	return o
}

// sizer asks S3.
type sizer struct{ source *s3source.Source }

// Size implements backfill.Sizer.
func (s sizer) Size(ctx context.Context, file schemas.File) (int64, error) {
	object, err := s.source.Stat(ctx, file, nil)
	if err != nil {
		return 0, err
	}
	return object.Pin.Size, nil
}

// hidePath takes the name of a file out of an error: it can name a patient.
func hidePath(err error) error {
	if under := cause(err); under != err {
		return fmt.Errorf("the manifest: %w", under)
	}
	return err
}

func (c *planCmd) print(std streams, plan *backfill.Plan) error {
	if c.JSON {
		encoder := json.NewEncoder(std.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(plan); err != nil {
			return err
		}
	} else if err := printPlan(std.out, plan, c.ExpiresAfter); err != nil {
		return err
	}
	if plan.Faulty > 0 {
		return usage(fmt.Errorf("%d of %d lines are faulty; nothing was sent", plan.Faulty, plan.Lines))
	}
	if plan.Lines == 0 {
		return usage(errors.New("the manifest has no line; nothing was sent"))
	}
	return nil
}

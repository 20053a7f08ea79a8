package backfill

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chartpost/chartpost/internal/app"
	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/backfill/planning"
	"github.com/chartpost/chartpost/internal/cli"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/inventory"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/internal/s3source"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

type planCmd struct {
	manifestFlags `embed:"" group:"Manifest"`
	Reading       readingFlags  `embed:"" group:"Manifest"`
	From          fromFlags     `embed:"" group:"Manifest"`
	Sizes         sizeFlags     `embed:"" group:"Sizes"`
	Admit         admitFlags    `embed:"" group:"Settings to compare with"`
	Sampling      sampleFlags   `embed:"" group:"Sample"`
	Estimate      estimateFlags `embed:"" group:"Estimate"`

	Quick  bool `help:"Hold lines to the job's schema alone, not to the rules of its message; takes less than half the time." group:"Estimate"`
	Faults int  `default:"20" help:"Faults to list." group:"Output"`
	JSON   bool `name:"json" help:"Print the plan as JSON." group:"Output"`

	Message app.Message `embed:"" group:"Message"`
	S3      app.S3      `embed:"" prefix:"s3-" group:"S3"`
}

// estimateFlags are what the time of a backfill hangs on.
type estimateFlags struct {
	EmbedLimit      int64         `default:"200000" help:"Largest sum of a job's files, in bytes, that transfer auto embeds."`
	FileLimit       int64         `default:"30000000" help:"Largest file, in bytes."`
	BudgetRequests  int           `default:"7500" help:"Requests that Redox takes in each --budget-window; 0, where the budget is off, leaves it out."`
	BudgetWindow    time.Duration `default:"5m" help:"Window of --budget-requests."`
	LaneConcurrency int           `default:"8" help:"Jobs of one destination that all workers together have in hand; the workers' setting."`
	AnswerTime      time.Duration `default:"1s" help:"How long Redox takes to answer a request. It is a guess: look at chartpost_redox_request_duration_seconds of your workers. 0 leaves answers out."`
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

func (c *planCmd) Check(*kong.Context) error {
	var faults []error
	positive := func(ok bool, flag, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("--%s (%s) %s", flag, app.EnvironmentName(flag), rule))
		}
	}
	positive(c.Reading.ExpiresAfter > 0, "expires-after", "must be more than 0")
	positive(c.Sizes.HeadConcurrency > 0, "head-concurrency", "must be at least 1")
	positive(c.Estimate.BudgetRequests >= 0, "budget-requests", "must not be negative")
	positive(c.Estimate.BudgetWindow > 0, "budget-window", "must be more than 0")
	positive(c.Estimate.LaneConcurrency > 0, "lane-concurrency", "must be at least 1")
	positive(c.Estimate.AnswerTime >= 0, "answer-time", "must not be negative")
	positive(c.Faults >= 0, "faults", "must not be negative")
	if c.Sizes.Head && c.Sizes.listings() {
		faults = append(faults, errors.New("--head does nothing beside --inventory or --list"))
	}
	for _, name := range c.Sizes.List {
		address, isS3 := strings.CutPrefix(name, "s3://")
		positive(isS3 && !strings.HasPrefix(address, "/") && address != "", "list", "must look like s3://BUCKET/PREFIX")
	}
	if _, err := inventory.NewColumns(c.Sizes.InventoryFields); err != nil {
		positive(false, "inventory-columns", err.Error())
	}
	if c.Manifest == "" && c.From.From == "" {
		faults = append(faults, errors.New("<manifest> is required: a file, s3://BUCKET/KEY, or - for standard input; or --from lists a bucket"))
	}
	return errors.Join(errors.Join(faults...), c.From.check(c.Manifest), c.Admit.check(), c.Sampling.check(), c.delivery().CheckLimits(), c.Message.Check(), c.S3.Check())
}

func (c *planCmd) delivery() app.Delivery {
	return app.Delivery{Concurrency: c.Sizes.HeadConcurrency, Stall: time.Minute, EmbedLimit: c.Estimate.EmbedLimit, FileLimit: c.Estimate.FileLimit}
}

// planHeap is what Go may hold while a plan is made, softly.
const planHeap = 56 << 20

// store is nil where nothing is in S3: a plan of local files needs no region.
func (c *planCmd) store(ctx context.Context) (*s3source.Source, error) {
	inS3 := func(name string) bool { return strings.HasPrefix(name, "s3://") }
	if !c.Sizes.Head && c.Sampling.Sample == 0 && c.From.From == "" && len(c.Sizes.List) == 0 && !inS3(c.Manifest) && !slices.ContainsFunc(c.Sizes.Inventory, inS3) {
		return nil, nil
	}
	return app.Source(ctx, c.S3, c.delivery())
}

func (c *planCmd) Run(ctx context.Context, std cli.Streams) error {
	// What is alive is little and what is thrown away is much: the collector
	// need not run often, as long as the heap stays small.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(planHeap))
	source, err := c.store(ctx)
	if err != nil {
		return err
	}
	template, size, err := c.template()
	if err != nil {
		return cli.Usage(err)
	}
	from, err := c.openPlanned(ctx, std, source)
	if err != nil {
		return err
	}
	defer from.Close()
	reader, err := manifest.NewReader(from, options(c.Reading.reading()))
	if ctx.Err() != nil {
		return cli.ErrInterrupted
	}
	if _, ofStore := errors.AsType[*fault.Fault](err); ofStore {
		return c.unreadable(err)
	}
	if err != nil {
		return cli.Usage(c.hidePath(err))
	}
	if !c.JSON {
		fmt.Fprintln(std.Err, describe(reader, std.ErrTerminal))
	}
	start := time.Now()
	run := manifest.Run{StartedAt: start, ExpiresAfter: c.Reading.ExpiresAfter, SizeColumn: c.Reading.SizeColumn}
	if !c.Quick {
		run.Check = compose.Composer{ObservationFile: c.Message.ObservationFile, UploadedNote: c.Message.UploadedNote}.Check
	}
	recipe, err := manifest.NewRecipe(template, reader, run)
	if err != nil {
		return cli.Usage(err)
	}
	sample := planning.NewSample(c.Sampling.Sample)
	plan, err := c.make(ctx, std, source, reader, recipe, sample, start)
	if err != nil && ctx.Err() != nil {
		return cli.ErrInterrupted
	}
	if err != nil {
		return c.unreadable(err)
	}
	if template != nil {
		plan.Template = &backfill.Source{SHA256: template.Digest(), Size: size}
	}
	if err := c.print(std, plan); err != nil {
		return err
	}
	return c.samples(ctx, std, source, sample)
}

// openPlanned opens the manifest, or makes it of what --from lists.
func (c *planCmd) openPlanned(ctx context.Context, std cli.Streams, source *s3source.Source) (io.ReadCloser, error) {
	if c.From.From == "" {
		return c.open(ctx, source, std.In)
	}
	c.Reading.listed()
	if c.Manifest == "" {
		return c.From.stream(ctx, source), nil
	}
	if err := c.From.save(ctx, std, source, c.Manifest); err != nil {
		return nil, err
	}
	return c.open(ctx, source, std.In)
}

func (c *planCmd) make(ctx context.Context, std cli.Streams, source *s3source.Source, reader *manifest.Reader, recipe *manifest.Recipe, sample *planning.Sample, start time.Time) (*planning.Plan, error) {
	progress := &planning.Progress{}
	defer showProgress(std, progress, c.Sizes.Head || c.Sizes.listings())()
	options := c.planOptions(start, source, progress)
	options.Sample, options.Admit = sample, c.Admit.admit(c.S3.Buckets)
	if !c.Sizes.listings() {
		return planning.Make(ctx, reader, recipe, options)
	}
	listing, err := planning.NewListing(c.objects(ctx, source), options.Dir, options.Salt, options.IDsHeld)
	if err != nil {
		return nil, err
	}
	defer listing.Close()
	options.Sizer, options.Heads = listing, options.Goroutines
	plan, err := planning.Make(ctx, reader, recipe, options)
	if err == nil {
		count := listing.Count()
		plan.Listing = &count
	}
	return plan, err
}

func (c *planCmd) planOptions(start time.Time, source *s3source.Source, progress *planning.Progress) planning.Options {
	o := planning.Options{
		Goroutines: runtime.GOMAXPROCS(0), Start: start, EmbedLimit: c.Estimate.EmbedLimit, FileLimit: c.Estimate.FileLimit,
		Budget: planning.Budget{Requests: c.Estimate.BudgetRequests, Window: c.Estimate.BudgetWindow}, Faults: c.Faults,
		Serving: planning.Serving{LaneConcurrency: c.Estimate.LaneConcurrency, Answer: c.Estimate.AnswerTime},
		Salt:    []byte(rand.Text()), Progress: progress,
	}
	if c.Sizes.Head {
		o.Sizer, o.Heads = sizer{source}, c.Sizes.HeadConcurrency
	}
	return o
}

// sizer asks S3.
type sizer struct{ source *s3source.Source }

// Size implements planning.Sizer.
func (s sizer) Size(ctx context.Context, file schemas.File) (int64, error) {
	object, err := s.source.Stat(ctx, file, nil)
	if err != nil {
		return 0, err
	}
	return object.Pin.Size, nil
}

func (c *planCmd) print(std cli.Streams, plan *planning.Plan) error {
	if c.JSON {
		encoder := json.NewEncoder(std.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(plan); err != nil {
			return err
		}
	} else if err := printPlan(std.Out, plan, c.Reading.ExpiresAfter); err != nil {
		return err
	}
	if plan.Faulty > 0 {
		return cli.Usage(fmt.Errorf("%d of %d lines are faulty; nothing was sent", plan.Faulty, plan.Lines))
	}
	if plan.Lines == 0 {
		return cli.Usage(errors.New("the manifest has no line; nothing was sent"))
	}
	return nil
}

package planning

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// outcome is what a plan keeps of a line while it looks at it.
type outcome struct {
	number int64
	id     mark
	lane   laneKey
	// transfer is empty for auto.
	transfer schemas.Transfer
	files    int64
	// size is the sum of the files in bytes; -1 is not known.
	size   int64
	faults []manifest.Fault
	// heads are the files to ask the store for.
	heads []schemas.File
	// objects are marks of its files, and future the places of dates in the future.
	objects []mark
	future  []string
	// other says that the line is not one of the run.
	other bool
}

type laneKey struct{ destination, environment, operation string }

// planner adds outcomes up.
type planner struct {
	options Options
	mu      sync.Mutex
	plan    Plan
	lanes   map[laneKey]*Lane
	ids     *sorter
	objects *sorter
	// warnings are by code and place.
	warnings map[string]*Warning
}

func newPlanner(o Options) *planner {
	return &planner{
		options: o, lanes: map[laneKey]*Lane{}, ids: newSorter(o.Dir, cmp.Or(o.IDsHeld, marksHeld)),
		objects: newSorter(o.Dir, cmp.Or(o.IDsHeld, marksHeld)), warnings: map[string]*Warning{},
		plan: Plan{Codes: map[string]int64{}, Lanes: []Lane{}},
	}
}

// lines gives the outcome of every line to each, in their order.
func (p *planner) lines(ctx context.Context, r *manifest.Reader, recipe *manifest.Recipe, each func(outcome)) error {
	for one, err := range manifest.Each(ctx, r, recipe, max(p.options.Goroutines, 1), p.keep) {
		if err != nil {
			return err
		}
		each(one)
	}
	return nil
}

// keep runs on several goroutines at once.
func (p *planner) keep(line manifest.Line) outcome {
	one := outcome{number: line.Number, size: line.Size, faults: line.Faults}
	survey := p.options.Survey
	if one.other = !survey.Has(line.Number); one.other || len(one.faults) > 0 {
		return one
	}
	job := &line.Job
	one.faults = append(one.faults, survey.Check(line)...)
	one.id = markOf(p.options.Salt, job.Key().String(), line.Number)
	one.lane = laneKey{job.Destination.Address(), string(job.Destination.Environment), job.Operation}
	one.transfer, one.files = job.Transfer, int64(len(job.Files))
	if p.options.Sizer != nil {
		one.heads = job.Files
	}
	if !job.Deadline().After(p.options.Start) {
		one.faults = append(one.faults, manifest.Fault{Code: "expired", Path: "/expires_at", Text: "is not later than the start of the run"})
	}
	if one.files == 1 && one.size >= 0 {
		one.faults = append(one.faults, p.bounds(one.size, "/files/0")...)
	}
	if p.options.Admit != nil {
		if err := p.options.Admit(*job); err != nil {
			f := fault.Of(err)
			one.faults = append(one.faults, manifest.Fault{Code: f.Code, Path: f.Path, Text: f.Text})
		}
	}
	if len(one.faults) == 0 {
		p.look(&one, line)
	}
	return one
}

// look notes what a person may want to know of a line that is a job.
func (p *planner) look(one *outcome, line manifest.Line) {
	for _, file := range line.Job.Files {
		one.objects = append(one.objects, markOf(p.options.Salt, objectName(file.Bucket, file.Key), line.Number))
	}
	one.future = futureDates(line.Job.Message, p.options.Start)
	p.options.Sample.offer(line)
}

// bounds judges a file's size as the worker will.
func (p *planner) bounds(size int64, path string) []manifest.Fault {
	switch {
	case size == 0:
		return []manifest.Fault{{Code: "file_empty", Path: path, Text: "has no bytes"}}
	case size > p.options.FileLimit:
		return []manifest.Fault{{Code: "file_too_large", Path: path, Text: "has more bytes than the limit of a file"}}
	}
	return nil
}

// size asks the store for each file of a line. What is wrong with the store itself, its
// credentials above all, is an error and no fault of the line: all lines would have it.
func (p *planner) size(ctx context.Context, one *outcome) error {
	var sum int64
	for i, file := range one.heads {
		path := "/files/" + strconv.Itoa(i)
		n, err := p.options.Sizer.Size(ctx, file)
		if err != nil {
			f := fault.Of(err)
			if f.Scope == fault.Store {
				return fmt.Errorf("asking for the size of a file: %w", err)
			}
			one.faults = append(one.faults, manifest.Fault{Code: f.Code, Path: path, Text: f.Text})
			continue
		}
		one.faults = append(one.faults, p.bounds(n, path)...)
		sum += n
	}
	if one.size = sum; p.options.Progress != nil {
		p.options.Progress.Sized.Add(1)
	}
	return nil
}

// settle counts a line.
func (p *planner) settle(one outcome) error {
	if one.other {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Survey.Note(one.number, len(one.faults) > 0, one.lane.destination)
	p.plan.Lines++
	if p.options.Progress != nil {
		p.options.Progress.Lines.Add(1)
	}
	if len(one.faults) > 0 {
		p.refuse(one.number, one.faults)
		return nil
	}
	p.plan.Jobs++
	p.plan.Sizes.Files += one.files
	requests := p.requests(one)
	if one.size >= 0 {
		p.plan.Sizes.KnownJobs++
		p.plan.Sizes.Bytes += one.size
	}
	if requests == 1 {
		p.plan.Sizes.EmbeddedJobs++
	}
	p.plan.Cost.Requests += requests
	lane := p.lanes[one.lane]
	if lane == nil {
		lane = &Lane{Destination: one.lane.destination, Environment: one.lane.environment, Operation: one.lane.operation}
		p.lanes[one.lane] = lane
	}
	lane.Jobs++
	lane.Requests += requests
	for _, path := range one.future {
		p.warn(one.number, "date_in_future", path, "is in the future")
	}
	for _, object := range one.objects {
		if err := p.objects.add(object); err != nil {
			return err
		}
	}
	return p.ids.add(one.id)
}

// requests is what a job costs: one with its files inside the message, else one
// more for each file. A size that is not known counts as too large to embed.
func (p *planner) requests(one outcome) int64 {
	embed := one.transfer == schemas.Embed ||
		one.transfer != schemas.Upload && one.size >= 0 && one.size <= p.options.EmbedLimit
	if embed {
		return 1
	}
	return 1 + one.files
}

// refuse counts a faulty line and lists its faults if it is among the first.
func (p *planner) refuse(line int64, faults []manifest.Fault) {
	p.plan.Faulty++
	if p.options.Progress != nil {
		p.options.Progress.Faulty.Add(1)
	}
	for _, f := range faults {
		p.plan.Codes[f.Code]++
		p.plan.Faults = append(p.plan.Faults, LineFault{line, f})
	}
	slices.SortStableFunc(p.plan.Faults, func(a, b LineFault) int { return cmp.Compare(a.Line, b.Line) })
	p.plan.Faults = p.plan.Faults[:min(len(p.plan.Faults), p.options.Faults)]
}

// repeat refuses a line that was counted as a job and is the job of another
// line again. The lanes and the estimate still count it: its lane is not kept.
func (p *planner) repeat(line, first int64) {
	p.plan.Jobs--
	p.refuse(line, []manifest.Fault{{Code: backfill.CodeRepeat, Path: "/id", Text: "the job of line " + strconv.FormatInt(first, 10) + " has the same id"}})
}

func (p *planner) finish() *Plan {
	plan := &p.plan
	for _, lane := range p.lanes {
		plan.Lanes = append(plan.Lanes, *lane)
	}
	slices.SortFunc(plan.Lanes, func(a, b Lane) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Environment, b.Environment))
	})
	plan.Cost.estimate(plan.Lanes, p.options.Budget, p.options.Serving)
	plan.Warnings = p.listWarnings()
	return plan
}

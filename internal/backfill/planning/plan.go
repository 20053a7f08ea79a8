// Package planning reads a whole manifest before anything is sent. It holds every line to the
// rules of a job, counts, estimates, warns, and chooses samples.
package planning

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// Sizer asks the store for the size of a file, in bytes. Its errors are
// *fault.Fault.
type Sizer interface {
	Size(ctx context.Context, file schemas.File) (int64, error)
}

// Options say how to plan.
type Options struct {
	// Goroutines make jobs; at least 1.
	Goroutines int
	// Start is the run's: a job that expires before it is a fault.
	Start time.Time
	// EmbedLimit is the largest sum of a job's files, in bytes, that transfer
	// auto embeds; FileLimit the largest file.
	EmbedLimit, FileLimit int64
	Budget                Budget
	Serving               Serving
	// Admit refuses a job that the settings rule out, with a *fault.Fault; nil refuses none.
	Admit func(schemas.Job) error
	// Sample takes some jobs; it may be nil.
	Sample *Sample
	// Sizer is nil where the store is not asked; else Heads requests are under
	// way at once.
	Sizer Sizer
	Heads int
	// Faults is how many of the faults a plan lists: those of the first lines.
	Faults int
	// IDsHeld is how many job ids are held in memory, 24 bytes each, before they
	// go to a temporary file; 0 is 262,144.
	IDsHeld int
	// Dir is for temporary files; empty is the system's. Salt is 16 random bytes
	// that keep what is in them from saying anything.
	Dir  string
	Salt []byte
	// Progress may be nil.
	Progress *Progress
	// Survey is for a run; nil where nothing will be sent.
	Survey *backfill.Survey
}

// Progress is how far planning is. It may be read at any time.
type Progress struct {
	Lines, Faulty, Sized atomic.Int64
}

// Plan is what a backfill would be.
type Plan struct {
	Manifest backfill.Source  `json:"manifest"`
	Template *backfill.Source `json:"template,omitempty"`
	// Lines are those that are not empty, the header left aside: Jobs and
	// Faulty ones.
	Lines  int64 `json:"lines"`
	Jobs   int64 `json:"jobs"`
	Faulty int64 `json:"faulty"`
	// Codes counts the faults, and Faults are those of the first lines.
	Codes  map[string]int64 `json:"fault_codes,omitempty"`
	Faults []LineFault      `json:"faults,omitempty"`
	// Warnings are of lines that are jobs.
	Warnings []Warning `json:"warnings,omitempty"`
	Lanes    []Lane    `json:"lanes"`
	Sizes    Sizes     `json:"sizes"`
	// Listing is set where sizes came from one.
	Listing *Listed `json:"listing,omitempty"`
	Cost    Cost    `json:"estimate"`
}

// LineFault is a fault and its line.
type LineFault struct {
	Line int64 `json:"line"`
	manifest.Fault
}

// Lane counts the jobs of one destination and operation.
type Lane struct {
	Destination string `json:"destination"`
	Environment string `json:"environment"`
	Operation   string `json:"operation"`
	Jobs        int64  `json:"jobs"`
	Requests    int64  `json:"requests"`
}

// Sizes is what is known of the jobs' files.
type Sizes struct {
	Files int64 `json:"files"`
	// KnownJobs are those whose size is known, and Bytes is the sum of it.
	KnownJobs int64 `json:"known_jobs"`
	Bytes     int64 `json:"bytes"`
	// EmbeddedJobs cost one request.
	EmbeddedJobs int64 `json:"embedded_jobs"`
}

// Listed counts the objects of a listing, and those of them that no line names.
type Listed struct {
	Objects int64 `json:"objects"`
	Unnamed int64 `json:"unnamed"`
}

// Make plans: it reads every line, and sends nothing. An error says that the
// manifest could not be read to its end; faulty lines are in the plan.
func Make(ctx context.Context, r *manifest.Reader, recipe *manifest.Recipe, o Options) (*Plan, error) {
	p := newPlanner(o)
	defer p.ids.close()
	defer p.objects.close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	fail := func(err error) {
		if err != nil {
			stop(err)
		}
	}
	heads := make(chan struct{}, max(o.Heads, 1))
	var asked sync.WaitGroup
	err := p.lines(ctx, r, recipe, func(one outcome) {
		if o.Sizer == nil || len(one.faults) > 0 {
			fail(p.settle(one))
			return
		}
		heads <- struct{}{}
		asked.Go(func() {
			defer func() { <-heads }()
			err := p.size(ctx, &one)
			if err == nil && ctx.Err() == nil {
				err = p.settle(one)
			}
			fail(err)
		})
	})
	asked.Wait()
	if err := cmp.Or(context.Cause(ctx), err); err != nil {
		return nil, err
	}
	if err := p.ids.repeats(p.repeat); err != nil {
		return nil, err
	}
	if err := p.objects.repeats(p.repeatedObject); err != nil {
		return nil, err
	}
	p.plan.Manifest.SHA256, p.plan.Manifest.Size = r.Digest()
	return p.finish(), nil
}

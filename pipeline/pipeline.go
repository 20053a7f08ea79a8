// Package pipeline takes one job from its JSON to Redox's receipt:
//
//	understand → file → compose → send
//
// It is resumable: every step that must not be repeated is written to the
// ledger before the next one starts, and a job.Record says where to go on. The
// network stays behind the ports Source and Redox; what becomes of a job that
// fails is not decided here but in package worker.
package pipeline

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/pipeline/guard"
	"github.com/chartpost/chartpost/schemas"
)

// Settings are the limits and defaults of a Pipeline.
type Settings struct {
	// Environment is the only Redox environment this deployment serves.
	Environment schemas.Environment
	// SourceID is the Redox source of jobs that name none.
	SourceID string
	// EmbedLimit is the largest sum of a job's files, in bytes, that transfer
	// auto embeds. Redox advises against embedding above 200 KB.
	EmbedLimit int64
	// FileLimit is the largest file in bytes. Redox documents 30 MB.
	FileLimit int64
	// Guard says which files may leave.
	Guard guard.Policy
	// Composer builds the messages.
	Composer compose.Composer
	// Retry governs the repeats within seconds, before a job leaves its slot.
	Retry RetryPolicy
}

// Pipeline delivers jobs. It may be shared: all its jobs share one room for parsed
// messages.
type Pipeline struct {
	source   Source
	redox    Redox
	settings Settings
	now      func() time.Time
	parsed   room
}

// New makes a Pipeline; now is the clock that stamps receipts and records.
func New(source Source, redox Redox, settings Settings, now func() time.Time) *Pipeline {
	return &Pipeline{source: source, redox: redox, settings: settings, now: now, parsed: newRoom()}
}

// Progress is told of what happens to a job on its way.
type Progress interface {
	// Uploaded is called when every file of the job is at Redox and the ledger
	// says so, in every try that goes on from there.
	Uploaded(record *job.Record)
	// Queued is called each time the right to one request has to be waited for,
	// which may take minutes, and Admitted each time it was taken.
	Queued()
	Admitted()
	// Waiting is called when a step begins that is as fast as somebody else is: a
	// token, a read of the store, an upload, a message. Moved is told of the bytes
	// handed over meanwhile, by any goroutine. Resumed is called when the step is
	// over, however it ended.
	Waiting()
	Moved(bytes int)
	Resumed()
	// Left is called between Waiting and Resumed each time the whole message has
	// been handed over, and only its answer is waited for.
	Left()
	// Repeats reports whether a step that failed may be tried again while the job
	// is in hand. Otherwise it makes room for another job.
	Repeats() bool
	// Passed is called when a step has ended, well or not.
	Passed(stage Stage)
}

// Deliver carries a job on from where record says it is until Redox has
// accepted its message. It changes record as it goes and saves it through
// records: when it returns nil, the saved record is Accepted and holds the
// receipt. Otherwise the error holds a *fault.Fault, and record, with what was
// learned on the way, is the caller's to save.
func (p *Pipeline) Deliver(ctx context.Context, class schemas.Class, u Understood, record *job.Record, records RecordStore, progress Progress) error {
	d := &delivery{line: p, class: class, job: u.Job, draft: u.draft, record: record, records: records, progress: progress, confirmed: p.now()}
	defer d.close()
	if err := d.run(ctx); err != nil {
		return interrupted(ctx, err)
	}
	return nil
}

// interrupted tells a fault of the world from the end of this process: a
// cancelled context surfaces as all kinds of errors. An unknown outcome
// stays unknown whatever caused it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if f := fault.Of(err); f.Kind != fault.Retryable || f.Scope == fault.Ledger {
		return err
	}
	return stopped(err)
}

func stopped(cause error) error {
	return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted", Text: "the worker was stopped", Cause: cause}
}

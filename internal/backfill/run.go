// Package backfill is the delivery of an archive: a manifest of many lines,
// each a job of the class backfill. It feeds the jobs of a run to the
// queue, a bounded number at a time, and keeps the book of what became of each
// line; and it accounts for them.
//
// # How a line is submitted once
//
// The book is written behind the queue: a feeder that is killed leaves lines that
// were published and are not in it. Before any line is published, a record says up to which line that may be so, and
// the next feeder, once the lease of the dead one is over, looks for
// those lines: first in the queue, then in the ledger. A worker writes a job into
// the ledger before it takes it out of the queue, so a job that was ever stored is in one of the
// two, whatever the queue has forgotten of message ids.
package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// Source names bytes by their digest.
type Source struct {
	SHA256 string `json:"sha256"`
	// Size is in bytes, as stored.
	Size int64 `json:"size"`
}

// Bucket keeps the records of runs.
type Bucket interface {
	// Read gives the newest record of a key; revision 0 says that there is none.
	Read(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Write replaces the record of a revision, 0 for none. It fails with
	// ErrChanged where somebody was faster.
	Write(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error)
}

// ErrChanged is the end of a write that somebody else's went before.
var ErrChanged = errors.New("somebody else has changed the record")

// ErrNoRun is a run that nobody has started.
var ErrNoRun = errors.New("there is no run of this name")

// ErrForgotten is a run of which the name alone is left.
var ErrForgotten = errors.New("the run was forgotten; its name is not used again")

// Queue is where jobs go.
type Queue interface {
	// Publish stores all jobs, or fails; proceed is asked before each message
	// whether it may leave. A job that is published again may be stored twice.
	Publish(ctx context.Context, run string, jobs []Job, proceed func() error) error
	// Queued gives the lines of a run whose jobs are in the queue.
	Queued(ctx context.Context, run string, found func(line int64)) error
}

// Ledger is what is known of jobs.
type Ledger interface {
	// Records gives the records that there are, by job. newest asks the one server
	// that knows the last write, else one may answer that lags behind.
	Records(ctx context.Context, jobs []schemas.JobKey, newest bool) (map[schemas.JobKey][]byte, error)
}

// Events tell what became of jobs.
type Events interface {
	// Follow gives every event that can be a final one of the run's: those behind
	// the sequence, or since the time where that is 0. Of an event that is
	// not the run's, no more than its sequence is given. caughtUp is called once all that were there
	// have been given, and ends it with false. It returns nil then, else why ctx
	// ended.
	Follow(ctx context.Context, run string, after uint64, since time.Time, caughtUp func() bool, each func(sequence uint64, event *schemas.Event)) error
}

// Job is a line as it is published.
type Job struct {
	Line            int64
	ID, Destination string
	Data            []byte
	// deadline is the job's: from then on it would end as expired.
	deadline time.Time
}

// Key names the job.
func (j Job) Key() schemas.JobKey { return schemas.JobKey{Destination: j.Destination, ID: j.ID} }

// State is what operators want of a run.
type State string

// The states of a run.
const (
	Running   State = "running"
	Paused    State = "paused"
	Cancelled State = "cancelled"
	// Forgotten is what is left of a run that was forgotten: its name, which no
	// other run may have, since events would be taken for that one's.
	Forgotten State = "forgotten"
)

// Ended is what a run is shown as when all its lines have ended. It is not kept.
const Ended State = "ended"

// Shown is what a run with these numbers is. That it has ended goes before what is wanted
// of it, except that it was cancelled.
func (s State) Shown(t Tally) State {
	if s != Cancelled && t.InFlight+t.Unfed == 0 {
		return Ended
	}
	return s
}

func (s State) known() bool {
	return s == "" || s == Running || s == Paused || s == Cancelled || s == Forgotten
}

// Run is what a run is. All but State, By and Changed is fixed at its start.
type Run struct {
	ID       string  `json:"id"`
	Manifest Source  `json:"manifest"`
	Template *Source `json:"template,omitempty"`
	// Only is the report whose failed lines the run has; nil is all lines.
	Only    *Source `json:"only,omitempty"`
	Reading Reading `json:"reading"`
	// Lines are those of the run, Faulty ones included; LastLine is the highest
	// number of any.
	Lines    int64 `json:"lines"`
	Faulty   int64 `json:"faulty"`
	LastLine int64 `json:"last_line"`
	// StartedAt is the requested_at of jobs that have none.
	StartedAt time.Time `json:"started_at"`
	State     State     `json:"state"`
	// By and Changed tell who set the state last, and when.
	By      string    `json:"by,omitempty"`
	Changed time.Time `json:"changed"`

	Unknown versioned.Unknown `json:",embed"`
}

// Reading is how a run's manifest is read, and how long its jobs are tried. Its words are
// those of the command's flags.
type Reading struct {
	Format     string   `json:"format"`
	Delimiter  string   `json:"delimiter"`
	Encoding   string   `json:"encoding"`
	Columns    []string `json:"columns,omitempty"`
	SizeColumn string   `json:"size_column,omitempty"`
	// ExpiresAfter is in nanoseconds.
	ExpiresAfter time.Duration `json:"expires_after"`
	// Quick says that lines are held to the job's schema alone.
	Quick bool `json:"quick,omitempty"`
}

// Equal reports whether both make the same jobs of a manifest.
func (r Reading) Equal(other Reading) bool {
	return r.Format == other.Format && r.Delimiter == other.Delimiter && r.Encoding == other.Encoding &&
		slices.Equal(r.Columns, other.Columns) && r.SizeColumn == other.SizeColumn && r.ExpiresAfter == other.ExpiresAfter
}

// RecordVersion is the version of the form of a run's records. Records of a later one
// are neither read nor replaced.
const RecordVersion = 1

// RunFields are the members of a Run, without its methods: for a struct that has them
// beside others.
type RunFields Run

type runForm struct {
	Version int `json:"version"`
	RunFields
}

// MarshalJSON writes the record with its version, and with the members of it that
// this version does not know.
func (r Run) MarshalJSON() ([]byte, error) {
	return versioned.Encode(runForm{RecordVersion, RunFields(r)})
}

// UnmarshalJSON reads a run. One of a later version, or in a state that this version
// does not know, is a *versioned.Newer.
func (r *Run) UnmarshalJSON(data []byte) error {
	var form runForm
	if err := versioned.Decode(data, RecordVersion, &form); err != nil {
		return err
	}
	if !form.State.known() {
		return &versioned.Newer{What: "a state"}
	}
	*r = Run(form.RunFields)
	return nil
}

// RunPrefix starts the keys of runs.
const RunPrefix = "backfill."

// MaxRunID is the most characters of a run's name.
const MaxRunID = 48

// CheckRunID holds a run's name to 1-48 of [A-Za-z0-9-].
func CheckRunID(id string) error {
	if len(id) == 0 || len(id) > MaxRunID {
		return fmt.Errorf("a run's name has 1 to %d letters, digits and hyphens", MaxRunID)
	}
	for _, c := range []byte(id) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return fmt.Errorf("a run's name has 1 to %d letters, digits and hyphens", MaxRunID)
		}
	}
	return nil
}

// LoadRun reads a run.
func LoadRun(ctx context.Context, bucket Bucket, id string) (Run, uint64, error) {
	var run Run
	revision, err := load(ctx, bucket, RunPrefix+id, &run)
	switch {
	case err == nil && run.ID != id:
		err = ErrNoRun
	case err == nil && run.State == Forgotten:
		err = ErrForgotten
	}
	return run, revision, err
}

// CreateRun makes a run. It fails with ErrChanged where there is one of the name.
func CreateRun(ctx context.Context, bucket Bucket, run Run) error {
	_, err := store(ctx, bucket, RunPrefix+run.ID, run, 0)
	return err
}

// load reads a record into a value, which stays as it is where there is none.
func load(ctx context.Context, bucket Bucket, key string, into any) (uint64, error) {
	value, revision, err := bucket.Read(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("reading the record %s: %w", key, err)
	}
	if value == nil {
		return revision, nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return 0, fmt.Errorf("the record %s cannot be read: %w", key, err)
	}
	return revision, nil
}

func store(ctx context.Context, bucket Bucket, key string, value any, revision uint64) (uint64, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return 0, err
	}
	next, err := bucket.Write(ctx, key, data, revision)
	if err != nil {
		return 0, fmt.Errorf("writing the record %s: %w", key, err)
	}
	return next, nil
}

// ErrOver refuses to change what has ended.
var ErrOver = errors.New("the run was cancelled; that is final")

// SetState changes what is wanted of a run; was is what was wanted before.
func SetState(ctx context.Context, bucket Bucket, id string, want State, by string, now time.Time) (was State, err error) {
	for {
		run, revision, err := LoadRun(ctx, bucket, id)
		if err != nil {
			return "", err
		}
		was = run.State
		if was == want {
			return was, nil
		}
		if was == Cancelled {
			return was, ErrOver
		}
		run.State, run.By, run.Changed = want, by, now.UTC()
		if _, err = store(ctx, bucket, RunPrefix+id, run, revision); !errors.Is(err, ErrChanged) {
			return was, err
		}
	}
}

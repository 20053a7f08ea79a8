package backfill

import (
	"hash/maphash"

	"github.com/chartpost/chartpost/internal/manifest"
)

// Survey is what a plan finds out for the feeder of a run.
type Survey struct {
	// Run is the run's name: a job needs room for its labels.
	Run string
	// Only are the lines that the run has; nil is all.
	Only *Only

	lanes  *Lanes
	last   int64
	faulty []int64
}

// NewSurvey makes a survey for a plan to fill in.
func NewSurvey(run string, only *Only) *Survey {
	return &Survey{Run: run, Only: only, lanes: newLanes()}
}

// LastLine is the highest number of a line of the run.
func (s *Survey) LastLine() int64 { return s.last }

// Note takes a line in: a faulty one, or a job of the destination. A nil survey takes none.
func (s *Survey) Note(line int64, faulty bool, destination string) {
	if s == nil {
		return
	}
	s.last = max(s.last, line)
	if faulty {
		s.faulty = append(s.faulty, line)
		return
	}
	s.lanes.add(line, destination)
}

// Has reports whether the line is one of the run; a nil survey has all.
func (s *Survey) Has(line int64) bool { return s == nil || s.Only.has(line) }

// CodeOtherJob is the fault of a line that is not the one a report speaks of.
const CodeOtherJob = "other_job"

// CodeRepeat is the fault of a line with the id of another.
const CodeRepeat = "duplicate_id"

// Check holds a job to what the run needs; a nil survey needs nothing.
func (s *Survey) Check(line manifest.Line) []manifest.Fault {
	if s == nil {
		return nil
	}
	if !s.Only.is(line.Number, line.Job.ID) {
		return []manifest.Fault{{Code: CodeOtherJob, Path: "/id", Text: "the report has another job on this line: it is of another manifest or template"}}
	}
	return room(line.Job, len(line.Data))
}

// Only are some lines of a manifest, each with a hash of its job's id.
type Only struct {
	seed  maphash.Seed
	lines map[int64]uint64
}

// NewOnly makes an empty set.
func NewOnly() *Only { return &Only{seed: maphash.MakeSeed(), lines: map[int64]uint64{}} }

// Add adds a line; an empty id is that of a line that is no job.
func (o *Only) Add(line int64, jobID string) { o.lines[line] = maphash.String(o.seed, jobID) }

// Len is how many lines there are.
func (o *Only) Len() int { return len(o.lines) }

func (o *Only) has(line int64) bool {
	if o == nil {
		return true
	}
	_, ok := o.lines[line]
	return ok
}

func (o *Only) is(line int64, jobID string) bool {
	return o == nil || o.lines[line] == maphash.String(o.seed, jobID)
}

package outcome

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// Where the bucket keeps what.
const (
	jobPrefix    = "job."
	windowPrefix = "window."
	cursorKey    = "cursor"
)

// recordVersion is that of every record of the bucket.
const recordVersion = 1

var (
	// ErrChanged says that another follower has written a record.
	ErrChanged = errors.New("another follower has written the record")
	// ErrStreamNew says that the stream of events was made again.
	ErrStreamNew = errors.New("the stream of events ends before what was read of it")
)

// Cursor is how far the follower has come.
type Cursor struct {
	// Sequence is that of the last event that was taken in.
	Sequence uint64 `json:"sequence"`
	// Whole is since when every event was counted in windows; zero where they are not
	// counted. A window that reaches behind it may lack messages.
	Whole time.Time `json:"whole,omitzero"`
	// Full and Exceptions are how far the logs were searched.
	Full       Mark     `json:"full"`
	Exceptions Mark     `json:"exceptions"`
	Standing   Standing `json:"standing"`

	Unknown versioned.Unknown `json:",embed"`
}

// kept is a value of the bucket with the revision that was read or written last.
type kept[T any] struct {
	value    *T
	revision uint64
}

// state is what the bucket holds. The follower's loop owns it; others may ask known.
type state struct {
	jobs    map[string]*kept[Job]
	windows map[string]*kept[Window]
	cursor  kept[Cursor]
	// touched are the records to be written.
	touched map[string]bool
	// telling are the outcomes that were published and not yet read back.
	telling map[string]schemas.Status

	mu    sync.RWMutex
	byLog map[string]string // the job's record by its log's id
}

func newState() *state {
	return &state{
		jobs: map[string]*kept[Job]{}, windows: map[string]*kept[Window]{}, cursor: kept[Cursor]{value: &Cursor{}},
		touched: map[string]bool{}, telling: map[string]schemas.Status{}, byLog: map[string]string{},
	}
}

type jobForm struct {
	Version int `json:"version"`
	Job
}

type windowForm struct {
	Version int `json:"version"`
	Window
}

type cursorForm struct {
	Version int `json:"version"`
	Cursor
}

// load takes in a record of the bucket. Windows that were counted are not kept.
func (s *state) load(key string, value []byte, revision uint64) error {
	var err error
	switch {
	case key == cursorKey:
		var form cursorForm
		if err = versioned.Decode(value, recordVersion, &form); err == nil {
			s.cursor = kept[Cursor]{&form.Cursor, revision}
		}
	case hasPrefix(key, jobPrefix):
		var form jobForm
		if err = versioned.Decode(value, recordVersion, &form); err == nil {
			s.add(&form.Job, revision)
		}
	case hasPrefix(key, windowPrefix):
		var form windowForm
		if err = versioned.Decode(value, recordVersion, &form); err == nil && form.State == Waiting {
			s.windows[key] = &kept[Window]{&form.Window, revision}
		}
	}
	if err != nil {
		return fmt.Errorf("a record of the bucket of outcomes: %w", err)
	}
	return nil
}

func hasPrefix(key, prefix string) bool { return len(key) > len(prefix) && key[:len(prefix)] == prefix }

// encode gives a record's value; nil for one that is not kept any more.
func (s *state) encode(key string) (value []byte, revision uint64, err error) {
	var record any
	switch {
	case key == cursorKey:
		record, revision = cursorForm{recordVersion, *s.cursor.value}, s.cursor.revision
	case s.jobs[key] != nil:
		record, revision = jobForm{recordVersion, *s.jobs[key].value}, s.jobs[key].revision
	case s.windows[key] != nil:
		record, revision = windowForm{recordVersion, *s.windows[key].value}, s.windows[key].revision
	default:
		return nil, 0, nil
	}
	value, err = versioned.Encode(record)
	return value, revision, err
}

// wrote notes a record's new revision.
func (s *state) wrote(key string, revision uint64) {
	switch {
	case key == cursorKey:
		s.cursor.revision = revision
	case s.jobs[key] != nil:
		s.jobs[key].revision = revision
	case s.windows[key] != nil:
		s.windows[key].revision = revision
	}
	if w := s.windows[key]; w != nil && w.value.State != Waiting {
		delete(s.windows, key) // the record stays, for people
	}
}

func (s *state) add(j *Job, revision uint64) {
	key := j.record()
	s.jobs[key] = &kept[Job]{j, revision}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range j.Logs {
		s.byLog[seen.ID] = key
	}
}

// drop forgets a job.
func (s *state) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range s.jobs[key].value.Logs {
		delete(s.byLog, seen.ID)
	}
	delete(s.jobs, key)
	delete(s.telling, key)
}

// known reports whether a log is one of those that are waited for.
func (s *state) known(log string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byLog[log] != ""
}

// job is the one of a log; nil for none.
func (s *state) job(log string) *kept[Job] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.jobs[s.byLog[log]]
}

// waiting are the windows of a destination that are not counted yet.
func (s *state) waiting(destinationID string) (all []*Window) {
	for _, w := range s.windows {
		if w.value.DestinationID == destinationID {
			all = append(all, w.value)
		}
	}
	slices.SortFunc(all, func(a, b *Window) int { return cmp.Compare(a.Begun, b.Begun) })
	return all
}

// restart is for a stream of events that was made again: its sequences begin again, and
// what the windows have counted cannot go on.
func (s *state) restart(now time.Time) {
	s.cursor.value.Sequence, s.cursor.value.Whole = 0, now
	for key, w := range s.windows {
		w.value.State = Open
		s.touched[key] = true
	}
}

// take takes in an event.
func (s *state) take(e Event, settings Settings) {
	d := e.Data
	if d.Status.Outcome() {
		if key := jobKey(schemas.JobKey{Destination: d.Destination, ID: d.JobID}, d.Attempt); s.jobs[key] != nil {
			s.jobs[key].value.tell(d.Status, e.At)
			delete(s.telling, key)
			s.touched[key] = true
		}
		return
	}
	if j := accepted(e); j != nil && s.jobs[j.record()] == nil {
		s.add(j, 0)
		s.touched[j.record()] = true
	}
	id, known := settings.destinationID(d.Destination)
	if !settings.Ours || !known {
		return
	}
	for _, w := range Fold(s.waiting(id), id, e, settings.Times) {
		if !w.First.Add(-settings.Times.gap()).After(s.cursor.value.Whole) {
			w.Muddled++
		}
		if s.windows[w.record()] == nil {
			s.windows[w.record()] = &kept[Window]{value: w}
		}
		s.touched[w.record()] = true
	}
}

// accepted is the job of an accepted event that names its logs.
func accepted(e Event) *Job {
	if e.Data.Status != schemas.StatusAccepted {
		return nil
	}
	j := &Job{Ref: refOf(e.Data, e.Sequence), AcceptedAt: e.At}
	switch r := e.Data.Receipt; {
	case r != nil && len(r.LogIDs) > 0:
		j.AcceptedAt = r.AcceptedAt
		for _, id := range r.LogIDs {
			j.Logs = append(j.Logs, Seen{ID: id})
		}
	case r == nil && e.Data.Evidence != nil && e.Data.Evidence.LogID != "":
		j.Logs = []Seen{{ID: e.Data.Evidence.LogID}}
	default:
		return nil
	}
	return j
}

// standing sums the state up.
func (s *state) standing(now time.Time) Standing {
	st := s.cursor.value.Standing
	st.Waiting, st.Failed, st.Windows, st.Oldest, st.SweptTo, st.At = 0, 0, len(s.windows), time.Time{}, s.cursor.value.Full.Until, now
	for _, j := range s.jobs {
		if !j.value.Waits() {
			st.Failed++
			continue
		}
		st.Waiting++
		if st.Oldest.IsZero() || j.value.AcceptedAt.Before(st.Oldest) {
			st.Oldest = j.value.AcceptedAt
		}
	}
	return st
}

package outcome

import (
	"fmt"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
)

// View is what the bucket holds, for people.
type View struct {
	Jobs    []*Job
	Windows []*Window
	// Cursor is nil where no follower has worked yet.
	Cursor *Cursor
}

// Add takes in a record of the bucket. Keys of other kinds are passed over.
func (v *View) Add(key string, value []byte) error {
	var err error
	switch {
	case key == cursorKey:
		var form cursorForm
		err = versioned.Decode(value, recordVersion, &form)
		v.Cursor = &form.Cursor
	case hasPrefix(key, jobPrefix):
		var form jobForm
		err = versioned.Decode(value, recordVersion, &form)
		v.Jobs = append(v.Jobs, &form.Job)
	case hasPrefix(key, windowPrefix):
		var form windowForm
		err = versioned.Decode(value, recordVersion, &form)
		v.Windows = append(v.Windows, &form.Window)
	}
	if err != nil {
		return fmt.Errorf("a record of the bucket of outcomes: %w", err)
	}
	return nil
}

// Stands says what is known of a job: the last outcome that was told, else waiting.
func (j *Job) Stands() string {
	if n := len(j.Told); n > 0 {
		return string(j.Told[n-1])
	}
	return "waiting"
}

// HeldNote says what counting has shown of a held job: a code and the counts, one for
// each search; ok is false where nothing was counted.
func (v *View) HeldNote(job schemas.JobKey) (code, text string, ok bool) {
	for _, w := range v.Windows {
		if w.HeldJob == nil || w.HeldJob.Key() != job {
			continue
		}
		switch w.State {
		case Found:
			code = CodeFound
		case NotFound:
			code = CodeNotFound
		case Waiting:
			code = "counting"
		default:
			code = CodeOpen
		}
		return code, w.told(), true
	}
	return "", "", false
}

// told is the counts of a window for people.
func (w *Window) told() string {
	text := []string{fmt.Sprintf("%d accepted and %d held between %s and %s", w.Accepted, w.Held,
		w.First.UTC().Format(time.RFC3339), w.Last.UTC().Format(time.RFC3339))}
	if w.Muddled > 0 {
		text = append(text, fmt.Sprintf("%d other messages or gaps", w.Muddled))
	}
	for _, c := range w.Counts {
		text = append(text, fmt.Sprintf("%d logs at %s", c.Total, c.At.UTC().Format(time.RFC3339)))
	}
	return strings.Join(text, "; ")
}

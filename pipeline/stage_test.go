package pipeline

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// passed notes the steps that have ended.
type passed struct{ stages []Stage }

func (p *passed) Passed(s Stage)       { p.stages = append(p.stages, s) }
func (p *passed) Uploaded(*job.Record) {}
func (p *passed) Queued()              {}
func (p *passed) Admitted()            {}
func (p *passed) Left()                {}
func (p *passed) Waiting()             {}
func (p *passed) Moved(int)            {}
func (p *passed) Resumed()             {}
func (p *passed) Repeats() bool        { return true }

// TestStepsAreToldOf when they have ended, with the bytes of those that hand any over.
func TestStepsAreToldOf(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	told := &passed{}
	d := &delivery{line: New(nil, nil, Settings{}, func() time.Time { now = now.Add(time.Second); return now }), progress: told}
	failed := errors.New("failed")
	for _, c := range []struct {
		step  Step
		bytes int64
		err   error
	}{{StepAuthorize, 0, nil}, {StepUpload, 7, failed}, {StepSend, 9, nil}, {StepUpload, 0, nil}} {
		if err := d.step(c.step, func() error { d.handed.Add(c.bytes); return c.err }); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.step, err)
		}
		last := told.stages[len(told.stages)-1]
		if last.Step != c.step || last.Bytes != c.bytes || !errors.Is(last.Err, c.err) || last.Took != time.Second {
			t.Errorf("told %+v, want %+v", last, c)
		}
	}
	d.handed.Add(5)
	if err := d.step(StepCompose, func() error { return nil }); err != nil || told.stages[4].Bytes != 0 || d.handed.Load() != 5 {
		t.Errorf("bytes of a step that hands nothing over: %+v", told.stages[4])
	}
	if len(told.stages) != 5 {
		t.Errorf("told of %d steps", len(told.stages))
	}
}

// body is a file that notes its end.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error { b.closed++; return nil }

// TestTheFirstReadingIsClosed also where nothing ever read on.
func TestTheFirstReadingIsClosed(t *testing.T) {
	b := &body{Reader: strings.NewReader("")}
	d := &delivery{opened: &Object{Body: b}}
	d.close()
	d.close()
	if b.closed != 1 || d.opened != nil {
		t.Errorf("closed %d times", b.closed)
	}
}

// TestWhatCannotBeComposedEndsTheTry: it never comes to a sending.
func TestWhatCannotBeComposedEndsTheTry(t *testing.T) {
	d := &delivery{
		line: New(nil, nil, Settings{}, time.Now), progress: &passed{},
		job: schemas.Job{ID: "a", Operation: "none"}, record: &job.Record{Phase: job.Working},
	}
	if err := d.transfer(t.Context()); err == nil || d.record.Phase != job.Working {
		t.Errorf("%v, phase %s", err, d.record.Phase)
	}
}

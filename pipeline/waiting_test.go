package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

// watched is a Progress that counts.
type watched struct {
	unwatched
	moved, open int
	once        bool
}

func (w *watched) Waiting()      { w.open++ }
func (w *watched) Resumed()      { w.open-- }
func (w *watched) Moved(n int)   { w.moved += n }
func (w *watched) Repeats() bool { return !w.once }

// away is a Redox and a store that fail for a while, and say whether their slowness
// is watched.
type away struct {
	Redox
	Source
	t        *testing.T
	progress *watched
	asked    int
}

func (a *away) ask() error {
	a.asked++
	if a.progress.open != 1 {
		a.t.Errorf("%d waits are known while somebody else is asked, want 1", a.progress.open)
	}
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Store, Code: "away"}
}

func (a *away) Authorize(context.Context) error { return a.ask() }

func (a *away) Stat(context.Context, schemas.File, *job.Pin) (*Object, error) { return nil, a.ask() }

func (a *away) Part(context.Context, schemas.File, job.Pin, int64, int64) ([]byte, error) {
	return nil, a.ask()
}

func (a *away) TryAdmit(schemas.Class) bool { return true }

func (a *away) Upload(context.Context, UploadRequest) (string, error) { return "", a.ask() }

// TestEveryStepThatOthersDecideIsWatched, is repeated in hand, and only where that is
// allowed; no wait is left over.
func TestEveryStepThatOthersDecideIsWatched(t *testing.T) {
	asked := schemas.Job{Operation: schemas.DocumentReferenceCreate, Files: []schemas.File{{Key: "a"}, {Key: "b"}}}
	for name, run := range map[string]func(context.Context, *delivery) error{
		"look": func(ctx context.Context, d *delivery) error { _, err := d.look(ctx, 0, false); return err },
		"part": func(ctx context.Context, d *delivery) error {
			_, err := d.part(ctx, asked.Files[0], job.Pin{}, 0, 1)
			return err
		},
		"upload": func(ctx context.Context, d *delivery) error {
			d.record.Files = []job.FileRecord{{Pin: &job.Pin{Size: 1}}}
			return d.upload(ctx, 0)
		},
	} {
		for _, once := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				progress := &watched{once: once}
				others := &away{t: t, progress: progress}
				d := &delivery{
					line: New(others, others, Settings{Retry: RetryPolicy{Tries: 3, First: time.Second, Longest: time.Second}}, time.Now),
					job:  asked, record: &job.Record{}, progress: progress, confirmed: time.Now(),
				}
				err := run(t.Context(), d)
				want := 3
				if once {
					want = 1
				}
				if f := fault.Of(err); f == nil || f.Code != "away" || others.asked != want || progress.open != 0 {
					t.Errorf("%s, once %t: %v, asked %d times, %d waits left", name, once, err, others.asked, progress.open)
				}
			})
		}
	}
}

// leased is a RecordStore whose lease lives.
type leased struct{ RecordStore }

func (leased) CheckLease() error { return nil }

// TestBytesThatMoveAreTold.
func TestBytesThatMoveAreTold(t *testing.T) {
	progress := &watched{}
	d := &delivery{line: &Pipeline{}, progress: progress, records: leased{}}
	p := d.guardLease(Payload{Size: 5, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("hello")), nil
	}}, nil)
	body, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(body); err != nil || progress.moved != 5 {
		t.Errorf("%v, %d bytes moved, want 5", err, progress.moved)
	}
	if err := d.waiting(func() error { return errors.New("x") }); err == nil || progress.open != 0 {
		t.Errorf("%v, %d waits left", err, progress.open)
	}
}

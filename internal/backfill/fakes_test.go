package backfill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/manifest"
	"github.com/chartpost/chartpost/schemas"
)

// fakes are the servers of a feeder whose time is the test's: hours pass at once.
// Nothing happens to a job by itself.
type fakes struct {
	mu   sync.Mutex
	sent []Job
	// phase is what the ledger says of every job that was published; empty is
	// nothing. Where it lags, only its leader says so.
	phase job.Phase
	lags  bool
	// queued are the lines whose jobs are in the queue.
	queued map[int64]bool
	// onSearch is called, unless nil, when the queue was looked through, with how
	// many times it was, and may change all.
	onSearch func(times int)
	// told are the events that there are.
	told []schemas.Event
	// asked counts the questions to the ledger, and searched those to the queue.
	asked, searched int
}

func (f *fakes) Publish(_ context.Context, _ string, jobs []Job, proceed func() error) error {
	for _, j := range jobs {
		if err := proceed(); err != nil {
			return err
		}
		f.mu.Lock()
		f.sent = append(f.sent, j)
		f.mu.Unlock()
	}
	return nil
}

func (f *fakes) Queued(_ context.Context, _ string, found func(int64)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searched++
	for line, there := range f.queued {
		if there {
			found(line)
		}
	}
	if f.onSearch != nil {
		f.onSearch(f.searched)
	}
	return nil
}

func (f *fakes) Records(_ context.Context, jobs []schemas.JobKey, newest bool) (map[schemas.JobKey][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	out := map[schemas.JobKey][]byte{}
	for _, j := range f.sent {
		if f.phase == "" || f.lags && !newest {
			break
		}
		for _, key := range jobs {
			if j.Key() == key {
				out[key], _ = json.Marshal(job.Record{Phase: f.phase, Attempt: 1, Digest: digestOf(j.Data), Receipt: &schemas.Receipt{Status: 200, Location: "L/1"}})
			}
		}
	}
	return out, nil
}

func (f *fakes) Follow(ctx context.Context, _ string, _ uint64, _ time.Time, caughtUp func() bool, each func(uint64, *schemas.Event)) error {
	for i := range f.told {
		each(uint64(i+1), &f.told[i])
	}
	if !caughtUp() {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// say sets what the ledger says of every job.
func (f *fakes) say(phase job.Phase) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.phase = phase
}

// published are the lines whose jobs were published.
func (f *fakes) published() (lines []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, job := range f.sent {
		lines = append(lines, job.Line)
	}
	return lines
}

// small is a run of a line for each destination, with its servers.
type small struct {
	*fakes
	t      *testing.T
	bucket *shelf
	run    Run
	to     []string
	after  time.Duration
	only   *Only
}

func newSmall(t *testing.T, to ...string) *small {
	t.Helper()
	w := &small{fakes: &fakes{}, t: t, bucket: newShelf(), to: to, after: 720 * time.Hour}
	w.run = Run{ID: "r", StartedAt: time.Now().UTC().Truncate(time.Second), State: Running}
	w.begin()
	return w
}

// begin makes the run's record, of some lines where only is set.
func (w *small) begin() {
	w.t.Helper()
	survey, source, lines := w.survey()
	w.run.Manifest, w.run.Lines, w.run.LastLine = source, lines, survey.LastLine()
	w.bucket = newShelf()
	if err := CreateRun(w.t.Context(), w.bucket, w.run); err != nil {
		w.t.Fatal(err)
	}
}

// smallJob has an id, a time of its own or none, and a destination: that of "patient"
// has an hour.
const smallJob = `{"id":"j-%d",%s"operation":"documentreference-create","destination":{"slug":"%s","environment":"Development"},` +
	`"files":[{"bucket":"bkt","key":"k"}],"message":{"patient":{"resourceType":"Patient"},"resource":{"resourceType":"DocumentReference","status":"current"}}}` + "\n"

func (w *small) open(context.Context) (*Opened, error) {
	var text strings.Builder
	for i, to := range w.to {
		own := ""
		if to == "patient" {
			own = fmt.Sprintf(`"expires_at":"%s",`, w.run.StartedAt.Add(time.Hour).Format(time.RFC3339))
		}
		fmt.Fprintf(&text, smallJob, i+1, own, to)
	}
	r, err := manifest.NewReader(strings.NewReader(text.String()), manifest.Options{})
	if err != nil {
		return nil, err
	}
	recipe, err := manifest.NewRecipe(nil, r, manifest.Run{StartedAt: w.run.StartedAt, ExpiresAfter: w.after})
	return &Opened{r, recipe, io.NopCloser(nil)}, err
}

// survey reads the manifest as planning does.
func (w *small) survey() (*Survey, Source, int64) {
	w.t.Helper()
	opened, err := w.open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	s, lines := NewSurvey(w.run.ID, w.only), int64(0)
	for line, err := range manifest.Each(w.t.Context(), opened.Reader, opened.Recipe, 1, func(l manifest.Line) manifest.Line { return l }) {
		if err != nil || len(line.Faults)+len(s.Check(line)) > 0 && s.Has(line.Number) {
			w.t.Fatal(err, line.Faults)
		}
		if s.Has(line.Number) {
			s.Note(line.Number, false, line.Job.Destination.Address())
			lines++
		}
	}
	digest, size := opened.Reader.Digest()
	return s, Source{SHA256: digest, Size: size}, lines
}

func (w *small) feeder(name string) *Feeder {
	w.t.Helper()
	s, _, _ := w.survey()
	return &Feeder{
		Ports: Ports{w.bucket, w, w, w}, Limits: Limits{Outstanding: 100, PerLane: 100}, Run: w.run, Survey: s, Name: name, Open: w.open,
		Say: func(text string) { w.t.Log(text) },
	}
}

// account gives the rows of a run.
func (w *small) account() ([]Row, Tally, error) {
	w.t.Helper()
	run, _, err := LoadRun(w.t.Context(), w.bucket, w.run.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var rows []Row
	a := Account{Ports: Ports{w.bucket, w, w, over{w.fakes}}, Run: run, Open: w.open, Dir: w.t.TempDir()}
	tally, err := a.Write(w.t.Context(), func(r Row) error { rows = append(rows, r); return nil })
	return rows, tally, err
}

// over are events that nobody waits for.
type over struct{ *fakes }

func (o over) Follow(_ context.Context, _ string, _ uint64, _ time.Time, caughtUp func() bool, each func(uint64, *schemas.Event)) error {
	for i := range o.told {
		each(uint64(i+1), &o.told[i])
	}
	caughtUp()
	return nil
}

func noBook(*Book) {}

// eventOf is an event of a line's job.
func eventOf(line int, status schemas.Status) schemas.Event {
	return schemas.Event{Data: schemas.EventData{Status: status, Correlation: map[string]string{LabelRun: "r", LabelLine: fmt.Sprint(line)}}}
}

package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
)

var errDead = errors.New("dead")

// mortal is a feeder's world that ends after some steps, as by kill -9: nothing
// gets through any more, and of the jobs that are published at that moment some
// were stored.
type mortal struct {
	backfill.Ports
	mu     sync.Mutex
	steps  int
	chance *rand.Rand
}

func (m *mortal) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps--; m.steps < 0 {
		return errDead
	}
	return nil
}

func (m *mortal) Read(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := m.alive(); err != nil {
		return nil, 0, err
	}
	return m.Bucket.Read(ctx, key)
}

func (m *mortal) Write(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := m.alive(); err != nil {
		return 0, err
	}
	return m.Bucket.Write(ctx, key, value, revision)
}

func (m *mortal) Publish(ctx context.Context, run string, jobs []backfill.Job, proceed func() error) error {
	if m.alive() == nil {
		return m.Queue.Publish(ctx, run, jobs, proceed)
	}
	m.mu.Lock()
	some := jobs[:m.chance.IntN(len(jobs)+1)]
	m.mu.Unlock()
	return errors.Join(m.Queue.Publish(ctx, run, some, func() error { return nil }), errDead)
}

func (m *mortal) Queued(ctx context.Context, run string, found func(int64)) error {
	return errors.Join(m.alive(), m.Queue.Queued(ctx, run, found))
}

func (m *mortal) Records(ctx context.Context, jobs []schemas.JobKey, newest bool) (map[schemas.JobKey][]byte, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.Ledger.Records(ctx, jobs, newest)
}

// TestKilledFeeders: feeders die at every step, others go on, and workers take jobs meanwhile,
// with the message ids long forgotten: every line is submitted once, and
// the books balance.
func TestKilledFeeders(t *testing.T) {
	t.Parallel()
	const seed = 7
	w, l := forgetfulWorld(t), many(1100, "x") // more than two chunks
	chance := rand.New(rand.NewPCG(seed, 0))
	h := &hand{w: w, taken: map[string]int{}}
	endings := []ending{accepted, {phase: job.Failed}, {phase: job.Accepted, silent: true}}
	deaths := 0
	// Signs of life take steps too, and on a slow machine they may be all there
	// are: feeders go on dying until jobs were taken.
	for life := 0; life < 12 || len(h.taken) < 10; life++ {
		f := w.feeder("r", l)
		m := &mortal{Ports: w.ports, steps: 4 + life, chance: chance}
		f.Ports = backfill.Ports{Bucket: m, Queue: m, Ledger: m, Events: w.ports.Events}
		f.Limits.Lease = 300 * time.Millisecond
		err := w.start(f, false).end()
		if err != nil && !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		h.take("x", chance.IntN(100), func(i int) ending { return endings[i%len(endings)] })
		if err == nil {
			break
		}
		deaths++
	}
	if deaths < 5 {
		t.Fatalf("%d deaths are no test", deaths)
	}
	f := w.feeder("r", l)
	w.mustFeed(f, false)
	h.drain("x", accepted)
	h.once("r", l)
	tally, _ := account(t, w, f, l)
	if tally.Lines != 1100 || tally.Counts[backfill.OutcomeAccepted]+tally.Counts[backfill.OutcomeFailed] != 1100 || tally.Counts[backfill.OutcomeFailed] == 0 {
		t.Errorf("%+v", tally)
	}
}

// cut is a queue that refuses after some jobs.
type cut struct {
	backfill.Queue
	most int
}

func (c cut) Publish(ctx context.Context, run string, jobs []backfill.Job, _ func() error) error {
	return errors.Join(c.Queue.Publish(ctx, run, jobs[:c.most], func() error { return nil }), errDead)
}

// TestCutShort: a feeder that ends in good order, but in the middle of a publish,
// leaves word of it.
func TestCutShort(t *testing.T) {
	t.Parallel()
	w, l := forgetfulWorld(t), many(50, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Queue = cut{w.ports.Queue, 20}
	f.Limits.Lease = time.Hour
	if err := w.start(f, true).end(); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	h.take("x", 5, func(int) ending { return accepted })
	w.forgotten()
	w.mustFeed(w.feeder("r", l), false)
	h.drain("x", accepted)
	h.once("r", l)
}

// account writes the account of a run.
func account(t *testing.T, w *world, f *backfill.Feeder, l lines) (backfill.Tally, map[int64]backfill.Row) {
	t.Helper()
	run, _, err := backfill.LoadRun(t.Context(), w.runs, f.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int64]backfill.Row{}
	a := backfill.Account{Ports: w.ports, Run: run, Open: l.open(run.StartedAt), Goroutines: 2, Dir: t.TempDir()}
	tally, err := a.Write(t.Context(), func(r backfill.Row) error { rows[r.Line] = r; return nil })
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, n := range tally.Counts {
		sum += n
	}
	if sum != tally.Lines || int64(len(rows)) != tally.Lines {
		t.Errorf("%d rows, %d lines, outcomes of %d", len(rows), tally.Lines, sum)
	}
	return tally, rows
}

// TestStop: a feeder that is asked to stop leaves the run in good order, and the
// next one goes on at once.
func TestStop(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(1400, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Limits.Outstanding = 700
	f.Limits.Lease = time.Hour // nobody could wait for its end
	g := w.start(f, true)
	w.until("700 jobs are queued", func() bool { return w.queued("x") == 700 })
	h.take("x", 300, func(int) ending { return accepted })
	// The feeder too must know that they are queued: else it stops in the middle of
	// a publish, as TestCutShort does.
	w.until("as many again", func() bool {
		tally := g.book.Tally(f.Run)
		return tally.InFlight == 700 && tally.Counts[backfill.OutcomeAccepted] == 300
	})
	if n := w.queued("x"); n != 700 {
		t.Errorf("%d jobs are queued", n)
	}
	w.until("the book is written", func() bool {
		at, err := backfill.LoadCheckpoint(t.Context(), w.runs, "r")
		return err == nil && at.Events > 0
	})
	g.stop()
	if err := g.end(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	at, err := backfill.LoadCheckpoint(t.Context(), w.runs, "r")
	if err != nil || at.Feeder != "" || at.Tally.InFlight != 700 || at.Tally.Counts[backfill.OutcomeAccepted] != 300 {
		t.Errorf("%+v, %v", at, err)
	}
	h.take("x", 200, func(int) ending { return accepted }) // while nobody feeds
	g = w.start(w.feeder("r", l), true)
	if tally := g.book.Tally(f.Run); tally.Counts[backfill.OutcomeAccepted] != 500 {
		t.Errorf("a feeder that begins knows of %+v", tally)
	}
	w.until("all are queued", func() bool { return w.queued("x") == 900 })
	h.drain("x", accepted)
	if err := g.end(); err != nil {
		t.Fatal(err)
	}
	h.once("r", l)
	if tally := g.book.Tally(f.Run); !tally.Good() || tally.Lines != 1400 {
		t.Errorf("%+v", tally)
	}
	if at, err := backfill.LoadCheckpoint(t.Context(), w.runs, "r"); err != nil || at.EndedAt.IsZero() {
		t.Errorf("%+v, %v", at, err)
	}
}

// TestOneFeeder: a second feeder is refused while the first lives, and the first
// publishes nothing once another has its run.
func TestOneFeeder(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(50, "x")
	f := w.feeder("r", l)
	f.Limits.Outstanding = 10
	// Within it the first gives signs of life, also on a slow machine.
	f.Limits.Lease = backfill.DefaultLease
	g := w.start(f, true)
	w.until("10 jobs are queued", func() bool { return w.queued("x") == 10 })
	if err := w.start(w.feeder("r", l), true).end(); !errors.Is(err, backfill.ErrFed) {
		t.Fatalf("a second feeder: %v", err)
	}
	// As a feeder does that heard nothing of the first for a long time.
	value, revision, err := w.runs.Read(t.Context(), "backfill.r.feeder")
	if err == nil {
		_, err = w.runs.Write(t.Context(), "backfill.r.feeder", append(value, ' '), revision)
	}
	for errors.Is(err, backfill.ErrChanged) {
		value, revision, _ = w.runs.Read(t.Context(), "backfill.r.feeder")
		_, err = w.runs.Write(t.Context(), "backfill.r.feeder", append(value, ' '), revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := g.end(); !errors.Is(err, backfill.ErrLost) {
		t.Errorf("the first feeder: %v", err)
	}
	if n := w.queued("x"); n != 10 {
		t.Errorf("%d jobs", n)
	}
}

// TestPauseAndCancel: another process pauses, resumes and cancels.
func TestPauseAndCancel(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(100, "x")
	h := &hand{w: w, taken: map[string]int{}}
	set := func(state backfill.State) {
		t.Helper()
		if _, err := backfill.SetState(t.Context(), w.runs, "r", state, "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	f := w.feeder("r", l)
	f.Limits.PerLane = 10
	said := make(chan string, 10)
	f.Say = func(text string) { said <- text }
	g := w.start(f, true)
	w.until("10 jobs are queued", func() bool { return w.queued("x") == 10 })
	set(backfill.Paused)
	if got := <-said; got != "the run is paused, by ann" {
		t.Error(got)
	}
	h.drain("x", accepted)
	w.until("the book has them", func() bool { return g.book.Tally(f.Run).Counts[backfill.OutcomeAccepted] == 10 })
	if n := w.queued("x"); n != 0 {
		t.Errorf("%d jobs of a paused run", n)
	}
	set(backfill.Running)
	w.until("10 more are queued", func() bool { return w.queued("x") == 10 })
	set(backfill.Cancelled)
	for got := <-said; got != "the run is cancelled, by ann"; got = <-said {
	}
	h.drain("x", ending{phase: job.Failed})
	if err := g.end(); err != nil {
		t.Fatal(err)
	}
	tally, rows := account(t, w, f, l)
	if tally.Counts[backfill.OutcomeCancelled] != 80 || tally.Counts[backfill.OutcomeAccepted] != 10 || tally.Counts[backfill.OutcomeFailed] != 10 {
		t.Errorf("%+v", tally)
	}
	if r := rows[2]; r.Outcome != backfill.OutcomeAccepted || r.Location != "https://example.invalid/job-2" || r.Attempts != 1 || r.EndedAt.IsZero() {
		t.Errorf("%+v", r)
	}
	if r := rows[12]; r.Reason != "file_missing" || r.Path != "/files/0" {
		t.Errorf("%+v", r)
	}
	if r := rows[101]; r.Outcome != backfill.OutcomeCancelled || r.Reason != "not_fed" || r.JobID != "job-101" {
		t.Errorf("%+v", r)
	}
	if _, err := backfill.SetState(t.Context(), w.runs, "r", backfill.Running, "ann", time.Now()); !errors.Is(err, backfill.ErrOver) {
		t.Errorf("resumed after a cancel: %v", err)
	}
}

// TestStuckLane: a destination that takes nothing keeps no other waiting, although
// its lines come first.
func TestStuckLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := append(many(300, "stuck"), many(300, "x")...)
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Limits.PerLane = 20
	g := w.start(f, true)
	for len(h.taken) < 300 {
		w.until("x has jobs", func() bool { return w.queued("x") > 0 })
		h.drain("x", accepted)
	}
	if n := w.queued("stuck"); n != 20 {
		t.Errorf("%d jobs of the lane that is stuck", n)
	}
	for len(h.taken) < 600 {
		w.until("stuck has jobs", func() bool { return w.queued("stuck") > 0 })
		h.drain("stuck", accepted)
	}
	if err := g.end(); err != nil {
		t.Fatal(err)
	}
	h.once("r", l)
}

// TestAgain: a second run of the same manifest sends nothing that was accepted, nor
// what nobody knows of, nor what is under way, and sends again what failed.
func TestAgain(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(5, "x")
	h := &hand{w: w, taken: map[string]int{}}
	w.record(schemas.JobKey{Destination: "x", ID: "job-2"}, job.Record{Phase: job.Accepted, Attempt: 3, Digest: "other", Receipt: &schemas.Receipt{Status: 200, Location: "https://example.invalid/before"}})
	w.record(schemas.JobKey{Destination: "x", ID: "job-3"}, job.Record{Phase: job.Held, Attempt: 1, Digest: "other"})
	w.record(schemas.JobKey{Destination: "x", ID: "job-4"}, job.Record{Phase: job.Waiting, Attempt: 1, Digest: "other"})
	w.record(schemas.JobKey{Destination: "x", ID: "job-5"}, job.Record{Phase: job.Failed, Attempt: 1, Digest: "other"})
	f := w.feeder("r", l)
	g := w.start(f, true)
	w.until("two are queued", func() bool { return w.queued("x") == 2 })
	h.drain("x", accepted)
	if err := g.end(); err != nil {
		t.Fatal(err)
	}
	tally, rows := account(t, w, f, l)
	got := ""
	for line := int64(2); line <= 6; line++ {
		got += fmt.Sprintf("%s %s|", rows[line].Outcome, rows[line].Reason)
	}
	if want := "duplicate accepted_before|unknown unknown_before|failed in_progress|accepted |accepted |"; got != want {
		t.Errorf("got  %s\nwant %s\n%+v", got, want, tally)
	}
	if r := rows[2]; r.Location != "https://example.invalid/before" || r.Attempts != 3 {
		t.Errorf("%+v", r)
	}
}

// TestOtherManifest: a manifest that changes while a run goes on ends the feeding.
func TestOtherManifest(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(5, "x")
	f := w.feeder("r", l)
	f.Open = many(6, "x").open(f.Run.StartedAt)
	if err := w.start(f, false).end(); !errors.Is(err, backfill.ErrManifest) {
		t.Errorf("%v", err)
	}
	f = w.feeder("r", l)
	run, _, err := backfill.LoadRun(t.Context(), w.runs, "r")
	if err != nil {
		t.Fatal(err)
	}
	a := backfill.Account{Ports: w.ports, Run: run, Open: f.Open, Dir: t.TempDir()}
	if _, err := a.Write(t.Context(), func(backfill.Row) error { return nil }); err != nil {
		t.Errorf("the account of the right manifest: %v", err)
	}
	a.Open = many(6, "x").open(f.Run.StartedAt)
	if _, err := a.Write(t.Context(), func(backfill.Row) error { return nil }); !errors.Is(err, backfill.ErrManifest) {
		t.Errorf("the account of another manifest: %v", err)
	}
}

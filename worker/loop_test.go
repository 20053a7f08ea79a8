package worker

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// openBook is a ledger that knows no job yet; save is what its pages do.
// noDocuments knows no document.
type noDocuments struct{}

func (noDocuments) Makes(context.Context, DocumentKey, job.Maker) (job.Makers, error) {
	return job.Makers{}, nil
}

func (noDocuments) Makers(context.Context, DocumentKey) (job.Makers, error) {
	return job.Makers{}, nil
}

type openBook struct {
	noDocuments
	save func(ctx context.Context, r job.Record) error
}

func (b openBook) Open(_ context.Context, _ schemas.JobKey, fresh job.Record) (Entry, bool, error) {
	return openPage{b, fresh}, true, nil
}

func (openBook) Find(context.Context, schemas.JobKey) (job.Record, bool, error) {
	return job.Record{}, false, nil
}

type openPage struct {
	openBook
	record job.Record
}

func (p openPage) Record() job.Record                                { return p.record }
func (p openPage) Save(ctx context.Context, record job.Record) error { return p.save(ctx, record) }

// slow is a pipeline that takes as long as told and ends as told.
type slow struct {
	deliver func(ctx context.Context, p pipeline.Progress) error
}

func (slow) Understand(schemas.Lane, []byte) (pipeline.Understood, error) {
	return pipeline.Understood{Job: schemas.Job{ID: "job", RequestedAt: time.Now()}}, nil
}

func (s slow) Deliver(ctx context.Context, _ schemas.Class, _ pipeline.Understood, _ *job.Record, _ pipeline.RecordStore, p pipeline.Progress) error {
	return s.deliver(ctx, p)
}

// told is a control that one test writes to and reads.
type told struct {
	changed chan LaneState
	mu      sync.Mutex
	puts    []LaneState
}

func (c *told) Follow(ctx context.Context, changed func(LaneState)) {
	for {
		select {
		case s := <-c.changed:
			changed(s)
		case <-ctx.Done():
			return
		}
	}
}

func (c *told) Put(_ context.Context, s LaneState) (LaneState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Revision++
	c.puts = append(c.puts, s)
	return s, nil
}

func (c *told) FollowRuns(ctx context.Context, _ func(string, bool), listed func()) {
	listed()
	<-ctx.Done()
}

// claims are who said that they would probe, in order; "" where a claim was
// given up or a wait began.
func (c *told) claims() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, s := range c.puts {
		if s.Breaker != nil {
			names = append(names, s.Breaker.Prober)
		}
	}
	return names
}

// mute is an outbox that takes nothing.
type mute struct{ Outbox }

func (mute) Bury(ctx context.Context, _ DeadLetter) error { <-ctx.Done(); return ctx.Err() }

func saved(context.Context, job.Record) error { return nil }

func ledgerAway() error {
	return &fault.Fault{Kind: fault.Retryable, Scope: fault.Ledger, Code: "ledger_unavailable"}
}

// run starts a worker of two slots in a bubble; stop ends it and says how long
// that took.
func run(t *testing.T, queue Queue, book Ledger, d Deliverer, grace time.Duration) (stop func() time.Duration) {
	settings := Settings{
		Name: "w", Prefix: "p", Slots: 2, LaneConcurrency: 2, Lease: 30 * time.Second, Grace: grace,
		Policy: job.Policy{OnUnknown: job.ResendUnknown, First: time.Second, Longest: time.Second}, Backoff: Backoff{First: time.Second, Longest: time.Second},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); New(settings, queue, book, d, quiet).Run(ctx) }()
	return func() time.Duration {
		start := time.Now()
		cancel()
		<-ended
		return time.Since(start)
	}
}

// TestTheEndIsBounded: neither a ledger nor a queue that never answers keeps a
// worker longer than its grace time and the time for last words.
func TestTheEndIsBounded(t *testing.T) {
	never := func(ctx context.Context, _ job.Record) error { <-ctx.Done(); return ledgerAway() }
	refused := func(context.Context, pipeline.Progress) error {
		return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "refused"}
	}
	for name, c := range map[string]struct {
		save    func(context.Context, job.Record) error
		deliver func(context.Context, pipeline.Progress) error
	}{
		"an end that cannot be written": {never, refused},
		"an end that cannot be told":    {saved, refused},
		"a job that is interrupted": {never, func(ctx context.Context, _ pipeline.Progress) error {
			<-ctx.Done()
			return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted"}
		}},
		"a job that was set aside": {never, func(ctx context.Context, _ pipeline.Progress) error {
			<-ctx.Done()
			return ledgerAway()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := &oneLane{answers: make(chan Answer)}
				stop := run(t, Queue{Intake: in, Outbox: mute{}, Control: deaf{}, Budget: plenty{}}, openBook{save: c.save}, slow{deliver: c.deliver}, 5*time.Second)
				d := &copyInHand{lane: liveLane("a")}
				in.answers <- Answer{Lane: d.lane, Delivery: d}
				synctest.Wait()
				if took := stop(); took > 5*time.Second+lastWords {
					t.Errorf("the end took %s", took)
				}
				if len(d.given()) != 1 {
					t.Errorf("the job was given back %v, want once", d.given())
				}
			})
		})
	}
}

// TestOnlyAWaitFreesTheSlot: a job that has its answer, or its right to a request,
// and rests before its next try keeps its slot; so does a live job that waits for
// the budget.
func TestOnlyAWaitFreesTheSlot(t *testing.T) {
	answered := func(p pipeline.Progress) { p.Waiting(); p.Left(); p.Resumed() }
	queued := func(p pipeline.Progress) { p.Queued() }
	admitted := func(p pipeline.Progress) { p.Queued(); p.Admitted() }
	// trickles moves so many bytes a second for ten seconds.
	trickles := func(bytes int) func(pipeline.Progress) {
		return func(p pipeline.Progress) {
			p.Waiting()
			go func() {
				for range 100 {
					time.Sleep(100 * time.Millisecond)
					p.Moved(bytes / 10)
				}
				p.Resumed()
			}()
		}
	}
	gone := func(p pipeline.Progress) { p.Waiting(); p.Moved(10); p.Resumed() }
	for name, c := range map[string]struct {
		class   schemas.Class
		meets   func(pipeline.Progress)
		started int
	}{
		"no answer":                      {schemas.Live, pipeline.Progress.Left, 3},
		"an answer, and then a pause":    {schemas.Live, answered, 2},
		"backfill without a right":       {schemas.Backfill, queued, 3},
		"backfill's right, then a pause": {schemas.Backfill, admitted, 2},
		"live without a right":           {schemas.Live, queued, 2},
		"a body that stands still":       {schemas.Live, pipeline.Progress.Waiting, 3},
		"a body that trickles":           {schemas.Live, trickles(200 << 10), 3},
		"a body that moves":              {schemas.Live, trickles(300 << 10), 2},
		"a body that has gone":           {schemas.Live, gone, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := &oneLane{answers: make(chan Answer)}
				var mu sync.Mutex
				started := 0
				deliver := func(_ context.Context, p pipeline.Progress) error {
					mu.Lock()
					started++
					mu.Unlock()
					c.meets(p)
					time.Sleep(time.Minute)
					return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted"}
				}
				stop := run(t, Queue{Intake: in, Control: deaf{}, Budget: plenty{}}, openBook{save: saved}, slow{deliver: deliver}, time.Hour)
				time.Sleep(2 * lookPeriod) // the runs are listed
				taken := uint64(0)
				take := func(class schemas.Class, destination string) {
					taken++
					d := &copyInHand{lane: schemas.Lane{Class: class, Destination: destination}, sequence: taken}
					in.answers <- Answer{Lane: d.lane, Delivery: d}
					synctest.Wait()
				}
				take(c.class, "a")
				take(c.class, "a")
				time.Sleep(2 * slowAfter)
				take(schemas.Live, "b")
				mu.Lock()
				if started != c.started {
					t.Errorf("%d jobs were started on two slots, want %d", started, c.started)
				}
				mu.Unlock()
				stop()
			})
		})
	}
}

// TestOnlyWhoCanProbeClaims: a worker without a free slot leaves a lane that is to
// be probed to the others, and claims it once it has one.
func TestOnlyWhoCanProbeClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &oneLane{answers: make(chan Answer), jobs: 5}
		control := &told{changed: make(chan LaneState)}
		free := make(chan struct{})
		deliver := func(context.Context, pipeline.Progress) error {
			<-free
			return &fault.Fault{Kind: fault.Interrupted, Scope: fault.Job, Code: "interrupted"}
		}
		stop := run(t, Queue{Intake: in, Control: control, Budget: plenty{}}, openBook{save: saved}, slow{deliver: deliver}, time.Hour)
		synctest.Wait()
		now := time.Now()
		control.changed <- LaneState{Lane: liveLane("a"), Revision: 1, Breaker: &Breaker{Since: now, Until: now.Add(time.Second), Opened: 1}}
		in.answers <- Answer{Lane: liveLane("a"), Done: true, Unfilled: 2} // what was asked before
		busy := []*copyInHand{{lane: liveLane("other"), sequence: 1}, {lane: liveLane("other"), sequence: 2}}
		for _, c := range busy {
			in.answers <- Answer{Lane: c.lane, Delivery: c}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := control.claims(); len(got) != 0 || len(busy[0].given())+len(busy[1].given()) != 0 {
			t.Errorf("claims without a free slot: %q", got)
		}
		close(free)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := control.claims(); len(got) == 0 || got[0] != "w" {
			t.Errorf("claims with free slots: %q", got)
		}
		stop()
		if got := control.claims(); len(got) > 0 && got[len(got)-1] != "" {
			t.Errorf("the claim outlives the worker: %q", got)
		}
	})
}

// ofRun is a copy that was published for a line of a backfill run.
type ofRun struct{ *copyInHand }

func (ofRun) Line() Line { return Line{Run: "run", Number: 1} }

// stubborn is a pipeline that sends although the worker stops.
type stubborn struct{ slow }

func (stubborn) Deliver(ctx context.Context, _ schemas.Class, _ pipeline.Understood, r *job.Record, j pipeline.RecordStore, _ pipeline.Progress) error {
	r.Phase = job.Sending
	return j.Save(context.WithoutCancel(ctx), *r)
}

// TestTheEndDoesNotWaitForTheRuns: whether a run was cancelled is not known, and
// will not be.
func TestTheEndDoesNotWaitForTheRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &oneLane{answers: make(chan Answer)}
		book := openBook{save: func(ctx context.Context, r job.Record) error {
			if r.Phase == job.Sending && ctx.Err() == nil {
				t.Error("the message may leave although its run may be cancelled")
			}
			return ledgerAway()
		}}
		stop := run(t, Queue{Intake: in, Outbox: mute{}, Control: unlisted{}, Budget: plenty{}}, book, stubborn{}, 5*time.Second)
		d := ofRun{&copyInHand{lane: liveLane("a")}}
		in.answers <- Answer{Lane: d.Lane(), Delivery: d}
		synctest.Wait()
		if took := stop(); took > 5*time.Second+lastWords {
			t.Errorf("the end took %s", took)
		}
		if len(d.given()) != 1 {
			t.Errorf("the job was given back %v, want once", d.given())
		}
	})
}

package natsq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	books "github.com/chartpost/chartpost/internal/ledger"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// TestNothingIsForgotten: while jobs are published, delivered, given back,
// left to their leases, brought by schedules and held by pauses, no sweep takes
// one of them for forgotten.
func TestNothingIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const published, scheduled = 300, 20
	settings := LaneSettings{Concurrency: 30, Lease: time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	var acked, swept atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		in := w.take(settings, 256, seldom)
		all.Go(func() { w.serve(ctx, in, &acked) })
		all.Go(func() {
			for r := newReaper(in); ctx.Err() == nil; swept.Add(1) {
				if err := r.sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				// Long enough for an acknowledged job to be removed, on any machine.
				sleepFor(ctx, time.Second)
			}
		})
	}
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			state := worker.LaneState{Lane: lane1, Revision: w.get(lane1).Revision}
			if i%2 == 0 {
				state = paused(lane1, time.Now().Add(time.Minute))
				state.Revision = w.get(lane1).Revision
			}
			if _, err := w.control().Put(ctx, state); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			sleepFor(ctx, 300*time.Millisecond)
		}
	})
	for i := range published {
		w.publish([]schemas.Lane{lane1, lane2}[i%2], 1)
		if i%(published/scheduled) == 0 {
			must(t, w.Outbox().Later(ctx, worker.Schedule{Lane: lane1, JobID: fmt.Sprint("later-", i), Data: []byte("later"), Attempt: 2, At: time.Now().Add(time.Second)}))
		}
	}
	until(t, "all is done", func() bool { return swept.Load() >= 30 && w.stored(jobs, ">") == 0 })
	cancel()
	all.Wait()
	if n := acked.Load(); n < published+scheduled {
		t.Errorf("%d were acknowledged in %d sweeps", n, swept.Load())
	}
}

// serve takes jobs and ends them in every way there is.
func (w *world) serve(ctx context.Context, in *Intake, acked *atomic.Int64) {
	var hands sync.WaitGroup
	defer hands.Wait()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			depths, err := in.Lanes(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
				w.t.Error(err)
			}
			for _, depth := range depths {
				in.Ask(depth.Lane, 10, 500*time.Millisecond)
			}
		case a := <-in.Answers():
			if a.Delivery == nil {
				continue
			}
			if _, wrong := a.Delivery.(*orphan); wrong {
				w.t.Errorf("message %d was taken for forgotten", a.Delivery.Sequence())
			}
			hands.Go(func() {
				sleepFor(ctx, rand.N(60*time.Millisecond))
				switch rand.N(10) {
				case 0:
					a.Delivery.GiveBack(0)
				case 1:
					a.Delivery.GiveBack(rand.N(300 * time.Millisecond))
				case 2: // dies with it
				default:
					if a.Delivery.Ack(ctx) == nil {
						acked.Add(1)
					}
				}
			})
		}
	}
}

func sleepFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// deliverer counts what is sent.
type deliverer struct{ sent atomic.Int64 }

func (*deliverer) Understand(_ schemas.Lane, data []byte) (job schemas.Job, err error) {
	return job, json.Unmarshal(data, &job)
}

func (d *deliverer) Deliver(ctx context.Context, _ schemas.Class, _ schemas.Job, record *pipeline.Record, journal pipeline.Journal, _ pipeline.Progress) error {
	record.Phase = pipeline.Sending
	if err := journal.Save(ctx, *record); err != nil {
		return err
	}
	d.sent.Add(1)
	record.Phase = pipeline.Accepted
	return journal.Save(ctx, *record)
}

// work runs a worker that looks for forgotten jobs all the time.
func (w *world) work(name string, book worker.Ledger, d worker.Deliverer) {
	w.t.Helper()
	settings := worker.Settings{
		Name: name, Prefix: w.prefix, Slots: 4, LaneConcurrency: 4, Lease: 10 * time.Second, Grace: limit,
		Patience: worker.Patience{OnUnknown: worker.Hold, First: time.Second, Longest: time.Second},
		Backoff:  worker.Backoff{First: time.Second, Longest: time.Second},
	}
	p := seldom
	p.reap = 100 * time.Millisecond
	in := w.take(LaneSettings{Concurrency: 4, Lease: settings.Lease}, worker.Answers(settings.Slots), p)
	one := worker.New(settings, worker.Queue{Intake: in, Outbox: w.Outbox(), Control: w.control(), Budget: plenty{}}, book, d, w.said.Logger())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { one.Run(ctx); close(ended) }()
	w.t.Cleanup(func() { cancel(); <-ended })
}

// TestForgottenJobsAreWorked by workers that look for them by themselves: one
// that was never done is delivered once; those that were accepted are only
// removed, and tell nothing anew.
func TestForgottenJobsAreWorked(t *testing.T) {
	t.Parallel()
	server, files := forgetful(t, "CHARTPOST_JOBS")
	w := joinWorld(t, server.URL())
	for _, lane := range []schemas.Lane{lane1, lane2} {
		data, err := json.Marshal(schemas.Job{ID: lane.Destination, RequestedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		must(t, err)
		w.send(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane), Data: data})
	}
	w.giveUp(lane2, 1)
	files.keep(w)
	bucket, err := w.Ledger(t.Context())
	must(t, err)
	book, sender := books.New(bucket, books.Patience), &deliverer{}
	w.work("a", book, sender)
	w.work("b", book, sender)
	for _, when := range []string{"at first", "after the jobs were accepted"} {
		until(t, "the queue is empty", func() bool { return w.stored(jobs, ">") == 0 })
		if n, told := sender.sent.Load(), w.stored(events, ">"); n != 2 || told != 2 {
			t.Errorf("%s: sent %d times, %d events; want 2 and 2", when, n, told)
		}
		if when == "at first" {
			files.bringBack(w)
		}
	}
	if n := strings.Count(w.said.String(), "they are taken up again"); n < 3 {
		t.Errorf("forgotten jobs were found %d times in lanes, want 3\n%s", n, w.said.Tail())
	}
}

// plenty is a budget that is off.
type plenty struct{}

func (plenty) Room() int                { return 1 << 30 }
func (plenty) Want(int)                 {}
func (plenty) Changed() <-chan struct{} { return nil }

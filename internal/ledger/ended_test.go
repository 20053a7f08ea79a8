package ledger

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/internal/natsq"
)

// setUp makes the bucket as `chartpost setup` does, and opens it as a worker
// does.
func setUp(t *testing.T, url string, replicas int, endedAge time.Duration, options ...nats.Option) jetstream.KeyValue {
	t.Helper()
	queue, err := natsq.Connect(natsq.Config{URL: url, Prefix: "chartpost", Name: t.Name(), Options: append(options, nats.Timeout(20*time.Second))}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { queue.Close() })
	patient, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := queue.Setup(patient, natsq.Layout{
		Replicas: replicas, EventsAge: time.Hour, DeadAge: time.Hour, LedgerAge: endedAge, LedgerOpenAge: time.Hour, Duplicates: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	bucket, err := queue.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// save moves a page on to a phase.
func save(t *testing.T, p *page, phase job.Phase) {
	t.Helper()
	r := p.Record()
	r.Phase = phase
	if err := p.Save(t.Context(), r); err != nil {
		t.Fatalf("saving %s: %v", phase, err)
	}
}

func (l *Ledger) knows(t *testing.T, id string) bool {
	t.Helper()
	_, ok, err := l.Find(t.Context(), keyOf(id))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestEndedRecordsGo while those of jobs under way stay, also of one that had
// ended and was taken up again.
func TestEndedRecordsGo(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	// None may go between its end and its next writing, however slow the machine.
	l := New(setUp(t, "", 1, 10*time.Second, stack.InProcess()), limit)
	under := []job.Phase{job.Working, job.Sending, job.Waiting}
	for _, phase := range under {
		save(t, open(t, l, string(phase), fresh("w"), true), phase)
		again := open(t, l, "again-"+string(phase), fresh("w"), true)
		save(t, again, job.Failed)
		save(t, again, phase)
	}
	made := fresh("w")
	made.Phase = job.Held
	open(t, l, "made", made, true)
	ended := map[string]*page{}
	for _, phase := range []job.Phase{job.Accepted, job.Failed, job.Held, job.Cancelled} {
		ended[string(phase)] = open(t, l, string(phase), fresh("w"), true)
		save(t, ended[string(phase)], phase)
	}
	for id, p := range ended {
		until(t, "the record "+id+" is gone", func() bool { return !l.knows(t, id) })
		wantFault(t, p.Save(t.Context(), p.Record()), fault.Superseded, fault.Job, "superseded")
		open(t, l, id, fresh("w2"), true)
	}
	until(t, "the record made of an ended job is gone", func() bool { return !l.knows(t, "made") })
	for _, phase := range under {
		for _, id := range []string{string(phase), "again-" + string(phase)} {
			if !l.knows(t, id) {
				t.Errorf("the record %s is gone", id)
			}
		}
	}
}

// TestEndedWritesAreComparedToo: on one replica and on three, of sixteen that
// end the same job one gets through, and whoever comes later does not.
func TestEndedWritesAreComparedToo(t *testing.T) {
	t.Parallel()
	c := devtest.Cluster(t, 3)
	stack := devtest.NATS(t, devstack.NATSOptions{Port: -1, LazySync: true})
	for name, bucket := range map[string]jetstream.KeyValue{
		"one": setUp(t, "", 1, time.Hour, stack.InProcess()), "three": setUp(t, c.URL(), 3, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			l := New(bucket, limit)
			open(t, l, "a", fresh("0"), true)
			var pages []*page
			for range 16 {
				pages = append(pages, open(t, l, "a", fresh("x"), false))
			}
			var won atomic.Int32
			var all sync.WaitGroup
			for i, p := range pages {
				all.Go(func() {
					r := p.Record()
					r.Owner, r.Phase = string(rune('A'+i)), job.Accepted
					err := p.Save(t.Context(), r)
					if err == nil {
						won.Add(1)
					} else if f := fault.Of(err); f.Kind != fault.Superseded {
						t.Errorf("%v: %v", err, f.Cause)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%d won, want 1", won.Load())
			}
		})
	}
}

// TestOwnEndIsKnown: the server takes the end of a job and its answer is lost.
func TestOwnEndIsKnown(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	direct := setUp(t, "", 1, time.Hour, stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	p := open(t, New(setUp(t, line.URL(), 1, time.Hour), limit), "a", fresh("me"), true)
	r := p.Record()
	r.Phase = job.Accepted
	line.Deafen(true)
	saved := make(chan error, 1)
	go func() { saved <- p.Save(t.Context(), r) }()
	written(t, direct, "a", job.Accepted)
	line.Deafen(false)
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	if entry, err := direct.Get(t.Context(), keyOf("a").Tokens()); err != nil || entry.Revision() != p.revision {
		t.Errorf("the page holds another revision than the bucket, %v", err)
	}
}

package faultlab

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestBudget lets workers send a deep queue of backfill beside a trickle of live
// jobs to a Redox that refuses what is above the limit, and counts.
//
// The short form asserts what a busy machine cannot change: requests that it holds
// up on their way to Redox come later, into a window that others fill, and may be
// refused there (docs/budget.md: three seconds are what the budget allows for). So
// the short form ends far within its first window, and is held to the pace of that.
// In the long form "scaled" is of 400 requests in 20 s, and "true-to-size" of 7,500
// in five minutes, which takes a quarter of an hour.
func TestBudget(t *testing.T) {
	onGrounds(t, "budget", 1, func(t *testing.T, g ground) {
		for _, c := range sized([]allowance{
			{name: "small", requests: 400, window: 80 * time.Second, answers: 20 * time.Millisecond, busy: 8 * time.Second, deep: 20},
		}, []allowance{
			{name: "scaled", requests: 400, window: 20 * time.Second, answers: 200 * time.Millisecond, idle: 90 * time.Second, busy: 3 * time.Minute, deep: 300},
			{name: "true-to-size", requests: 7500, window: 5 * time.Minute, answers: 200 * time.Millisecond, idle: 150 * time.Second, busy: 9 * time.Minute, deep: 600},
		}) {
			t.Run(c.name, func(t *testing.T) { c.run(t, g) })
		}
	})
}

// allowance is what Redox takes, and how it is used.
type allowance struct {
	name     string
	requests int
	window   time.Duration
	// answers is how long Redox takes to answer.
	answers time.Duration
	// idle is how long live jobs come alone, before and after backfill; busy how
	// long they come beside it.
	idle, busy time.Duration
	// deep is how many jobs the queue holds while it is busy.
	deep int
}

const (
	// kept is the part of the limit that backfill leaves for live.
	kept = 0.2
	// between is the time between two live jobs, on the average.
	between = 500 * time.Millisecond
	// mostAtOnce bounds the jobs that are published in half a second: what it
	// costs to fill the queue is not to be measured.
	mostAtOnce = 40
	// The phases of a run are the starts of the jobs' names.
	warming, before, beside, after, backfill = "warming", "before", "beside", "after", "backfill"
	// alone is before and after.
	alone = "alone"
)

func (c allowance) run(t *testing.T, g ground) {
	w := crew{workers: 3, slots: 16, laneSlots: 8, lease: 30 * time.Second, grace: 20 * time.Second, answer: time.Minute, further: []string{
		fmt.Sprintf("CHARTPOST_BUDGET_REQUESTS=%d", c.requests), "CHARTPOST_BUDGET_WINDOW=" + c.window.String(),
		fmt.Sprintf("CHARTPOST_BUDGET_RESERVE=%v", kept),
	}}
	l := newLab(t, g, w)
	l.redox = startRedox(t, redoxsim.RateLimit{Requests: c.requests, Window: c.window})
	for _, kind := range []redoxsim.Kind{redoxsim.MessageRequest, redoxsim.UploadRequest} {
		if err := l.redox.sim.Inject(redoxsim.Fault{Match: redoxsim.Match{Kind: kind}, Action: redoxsim.DelayAnswer, Delay: c.answers}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	use := &usage{allowance: c, operations: l.countOperations(), loads: map[string]string{}}
	var watching sync.WaitGroup
	watching.Go(func() { use.watch(ctx, l.redox.sim) })

	use.launched = time.Now()
	l.fleet.start()
	use.opened = time.Now()
	if c.idle > 0 {
		l.trickle(ctx, warming, 20*time.Second)
		l.trickle(ctx, before, c.idle)
		use.ended(before)
	}
	use.from = time.Now()
	ops := use.operations.Load()
	feeding, enough := context.WithTimeout(ctx, c.busy)
	defer enough()
	var feeder sync.WaitGroup
	feeder.Go(func() { l.feed(feeding, c.deep) })
	l.trickle(ctx, beside, c.busy)
	use.ended(beside)
	feeder.Wait()
	use.to = time.Now()
	use.perWorker = float64(use.operations.Load()-ops) / use.to.Sub(use.from).Seconds() / float64(w.workers)
	l.drained(ctx)
	if c.idle > 0 {
		l.trickle(ctx, after, c.idle)
		use.ended(after)
		l.drained(ctx)
	}
	cancel()
	watching.Wait()
	l.books.Requests = l.redox.log()
	l.collectRedox()
	use.count(&l.books)
	l.books.Posts, l.books.Uploads = nil, nil
	use.latencies(l)
	use.tell(l)
	l.close(Rules{AllAccepted: true, NoRepeats: true, Term: w.grace + patience})
	use.judge(t)
	if *long {
		for _, slow := range use.slowest[:min(len(use.slowest), 3)] {
			t.Log(l.books.Timeline(slow.job))
		}
	}
}

// trickle publishes live jobs of one file now and then.
func (l *lab) trickle(ctx context.Context, phase string, d time.Duration) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	chance := l.random(uint64(len(phase)))
	of := load{name: phase, destinations: destinations("hospital", 4), largest: 4_000, transfer: "upload"}
	var publishing sync.WaitGroup
	defer publishing.Wait()
	for n := 0; pause(ctx, time.Duration((0.5+chance.Float64())*float64(between))); n++ {
		publishing.Go(func() {
			o := l.order(of, n)
			o.Class, o.bodies, o.Files = "live", o.bodies[:1], o.Files[:1]
			l.submit(o)
		})
	}
}

// feed keeps the queue so many backfill jobs deep until ctx ends.
func (l *lab) feed(ctx context.Context, deep int) {
	of := load{name: backfill, destinations: destinations("hospital", 4), largest: 4_000}
	for n := 0; ; {
		rest, err := l.rest(ctx)
		if err == nil {
			var publishing sync.WaitGroup
			for range min(max(deep-int(rest.Messages), 0), mostAtOnce) {
				o := l.order(of, n)
				o.Class = "backfill"
				n++
				publishing.Go(func() { l.submit(o) })
				if n%8 == 0 {
					publishing.Wait()
				}
			}
			publishing.Wait()
		}
		if !pause(ctx, 500*time.Millisecond) {
			return
		}
	}
}

// submit publishes a job whatever ends meanwhile.
func (l *lab) submit(o order) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.t.Context()), patience)
	defer cancel()
	if err := l.publishOne(ctx, o); err != nil {
		l.t.Errorf("publishing: %v", err)
	}
}

// countOperations counts what the workers ask of NATS for their budget.
func (l *lab) countOperations() *atomic.Int64 {
	l.t.Helper()
	var n atomic.Int64
	record := "$KV." + stream("CONTROL") + ".budget.>"
	for _, subject := range []string{record, "$JS.API.DIRECT.GET.KV_" + stream("CONTROL") + "." + record} {
		if _, err := l.js.Conn().Subscribe(subject, func(*nats.Msg) { n.Add(1) }); err != nil {
			l.t.Fatal(err)
		}
	}
	return &n
}

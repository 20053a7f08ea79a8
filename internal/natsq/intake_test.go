package natsq

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestLanesAreFoundOnSight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(LaneSettings{Concurrency: 7, Lease: 42 * time.Second}, 16, calm)
	lanes := []schemas.Lane{
		lane1, lane2,
		{Class: schemas.Live, Destination: "Odd.One_2~x"},
		{Class: schemas.Backfill, Destination: strings.Repeat("_", 128)},
		{Class: schemas.Backfill, Destination: strings.Repeat("_", 127) + "~"},
	}
	for i, lane := range lanes {
		w.publish(lane, i+1)
	}
	depths := look(t, in)
	found := map[schemas.Lane]uint64{}
	for _, d := range depths {
		found[d.Lane] = d.Jobs
	}
	for i, lane := range lanes {
		if found[lane] == 0 {
			t.Errorf("%s is not offered", lane.Name())
		}
		c := w.consumer(lane).Config
		if c.MaxAckPending != 7 || c.AckWait != 42*time.Second || c.MaxDeliver != -1 || c.AckPolicy != jetstream.AckExplicitPolicy ||
			c.FilterSubject != schemas.JobSubject("chartpost", lane) || len(c.BackOff) != 0 {
			t.Errorf("%s: %+v", lane.Name(), c)
		}
		askFor(t, in, lane, 1, 30*time.Second)
		if d := job(t, in); d.Lane() != lane || string(d.Data()) != "job 0" || d.Pending() != uint64(i) || d.Sequence() == 0 {
			t.Errorf("%s: a job of %s, %d behind it", lane.Name(), d.Lane().Name(), d.Pending())
		}
		next(t, in)
	}
	if len(found) != len(lanes) {
		t.Errorf("%d lanes, want %d", len(found), len(lanes))
	}
}

// TestMisaddressedJobsAreHandedOver: a subject that is no destination's gets no
// consumer. Its jobs are handed over a few at a time, once each, and are gone when
// they are acknowledged.
func TestMisaddressedJobsAreHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := []string{"canary_", "_2ecanary", "é", "a*", "\x01", strings.Repeat("é", 400), "good_health"}
	for _, token := range tokens {
		w.send(&nats.Msg{Subject: "chartpost.jobs.live." + token, Data: []byte(token)})
	}
	in := w.take(patient, 16, calm)
	came := map[string]bool{}
	var inHand []worker.Delivery
	for len(came) < len(tokens) {
		d := job(t, in)
		if came[string(d.Data())] || !d.Lane().Stray() || d.Extend() != nil {
			t.Errorf("%.20q came by %v, before %t", d.Data(), d.Lane(), came[string(d.Data())])
		}
		came[string(d.Data())] = true
		if inHand = append(inHand, d); len(inHand) > mostStrays {
			t.Fatalf("%d are in hand at once", len(inHand))
		}
		if len(inHand) == mostStrays {
			ack(t, inHand[0])
			inHand = inHand[1:]
		}
	}
	for _, d := range inHand {
		ack(t, d)
	}
	if n := w.stored(jobs, ">"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
	stream, err := w.js.Stream(t.Context(), w.stream(jobs))
	must(t, err)
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers were made", n)
	}
	if said := w.said.String(); strings.Contains(said, "canary") || strings.Contains(said, "é") {
		t.Errorf("the log says %s", said)
	}
}

// TestSubjectsThatAreNoLane: no filter can name these alone, and none may be made: it
// would take the jobs of every lane. They are counted.
func TestSubjectsThatAreNoLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, token := range []string{"*", ">", "canary>", "canary\xff"} {
		w.send(&nats.Msg{Subject: "chartpost.jobs.live." + token})
	}
	w.publish(lane1, 1)
	in := w.take(patient, 16, calm)
	if depths := look(t, in); len(depths) != 1 || depths[0].Lane != lane1 {
		t.Errorf("%v, want the one lane", depths)
	}
	until(t, "the others are told of", func() bool { return in.board.unservable() == 4 })
}

func TestAskBringsAtMostItsNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 5)
	look(t, in)
	first := askFor(t, in, lane1, 3, 30*time.Second)
	for i := range 3 {
		if a := next(t, in); a.Ask != first || a.Done || a.Delivery == nil || a.Delivery.Pending() != uint64(4-i) {
			t.Fatalf("%+v", a)
		}
	}
	wantDone(t, in, first, lane1, 0, false)
	if n := w.consumer(lane1).NumAckPending; n != 3 {
		t.Errorf("%d jobs are leased, want 3", n)
	}
	second := askFor(t, in, lane1, 5, 4*time.Second)
	for range 2 {
		if a := next(t, in); a.Ask != second || a.Delivery == nil {
			t.Fatalf("%+v", a)
		}
	}
	wantDone(t, in, second, lane1, 3, false)
	third := askFor(t, in, lane1, 2, 100*time.Millisecond)
	wantDone(t, in, third, lane1, 2, false)
}

func TestLongAskBringsAJobOfLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, 30*time.Second)
	ack(t, job(t, in))
	next(t, in)
	number := askFor(t, in, lane1, 1, 24*time.Hour)
	if _, err := in.Ask(lane1, 1, time.Second); !errors.Is(err, errBusy) {
		t.Errorf("a second ask: %v", err)
	}
	until(t, "the server holds the ask", func() bool { return w.consumer(lane1).NumWaiting == 1 })
	w.publish(lane1, 1)
	if a := next(t, in); a.Ask != number || a.Delivery == nil {
		t.Fatalf("%+v", a)
	}
	wantDone(t, in, number, lane1, 0, false)
}

// TestHeartbeatsKeepALongAsk: the ask outlives its silence as long as the
// server speaks of it.
func TestHeartbeatsKeepALongAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := brisk(pace{heartbeat: 50 * time.Millisecond, grace: 10 * time.Second, sweep: 10 * time.Millisecond})
	in := w.take(patient, 16, p)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	ack(t, job(t, in))
	next(t, in)
	started := time.Now()
	number := askFor(t, in, lane1, 1, time.Hour)
	until(t, "the ask is older than its silence", func() bool {
		in.asks.mu.Lock()
		defer in.asks.mu.Unlock()
		a := in.asks.open[number]
		if a == nil {
			t.Fatal("the ask ended although the server spoke of it")
		}
		return a.heard.Sub(started) > p.silence(time.Hour)
	})
	w.publish(lane1, 1)
	job(t, in)
}

func TestTwoIntakesShareALane(t *testing.T) {
	t.Parallel()
	const total, most = 60, 3
	w := newWorld(t)
	settings := LaneSettings{Concurrency: most, Lease: time.Hour}
	w.publish(lane1, total)
	var inHand, done atomic.Int32
	var mu sync.Mutex
	times := map[uint64]int{}
	var both sync.WaitGroup
	for range 2 {
		in := w.take(settings, 16, calm)
		look(t, in)
		both.Go(func() {
			for done.Load() < total {
				if _, err := in.Ask(lane1, 4, 100*time.Millisecond); err != nil {
					t.Error(err)
					return
				}
				for a := range in.Answers() {
					if a.Done {
						break
					}
					if n := inHand.Add(1); n > most {
						t.Errorf("%d jobs in hand, want at most %d", n, most)
					}
					mu.Lock()
					times[a.Delivery.Sequence()]++
					mu.Unlock()
					inHand.Add(-1)
					ack(t, a.Delivery)
					done.Add(1)
				}
			}
		})
	}
	both.Wait()
	for sequence, n := range times {
		if n != 1 {
			t.Errorf("job %d came %d times", sequence, n)
		}
	}
	if len(times) != total || w.stored(jobs, "chartpost.jobs.>") != 0 {
		t.Errorf("%d jobs came, want %d", len(times), total)
	}
}

func TestConcurrencyIsTheFleets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	settings := LaneSettings{Concurrency: 3, Lease: time.Hour}
	a, b := w.take(settings, 16, calm), w.take(settings, 16, calm)
	w.publish(lane1, 10)
	look(t, a)
	look(t, b)
	askFor(t, a, lane1, 2, 30*time.Second)
	held := job(t, a)
	job(t, a)
	next(t, a)
	askFor(t, b, lane1, 5, 30*time.Second)
	job(t, b)
	until(t, "three are leased and an ask waits", func() bool {
		c := w.consumer(lane1)
		return c.NumAckPending == 3 && c.NumWaiting == 1
	})
	if len(b.Answers()) != 0 {
		t.Error("a fourth job came")
	}
	ack(t, held)
	job(t, b)
	if n := w.consumer(lane1).NumAckPending; n != 3 {
		t.Errorf("%d leased, want 3", n)
	}
}

package natsq

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// consumers is how many the jobs stream has.
func (w *world) consumers() int {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), w.stream(jobs))
	if err != nil {
		w.t.Fatal(err)
	}
	return stream.CachedInfo().State.Consumers
}

// work takes and ends whatever is offered until the queue is empty, and gives how
// many jobs came.
func (w *world) work(in *Intake) int {
	w.t.Helper()
	done, asking := 0, map[schemas.Lane]bool{}
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, depth := range in.Offer().Lanes {
			if depth.Served && depth.Jobs > 0 && !asking[depth.Lane] {
				if _, err := in.Ask(depth.Lane, 20, 100*time.Millisecond); err == nil {
					asking[depth.Lane] = true
				}
			}
		}
		select {
		case a := <-in.Answers():
			if a.Done {
				delete(asking, a.Lane)
				continue
			}
			ack(w.t, a.Delivery)
			done++
		case <-tick.C:
			if len(asking) == 0 && w.stored(jobs, ">") == 0 {
				return done
			}
		case <-deadline:
			w.t.Fatalf("%d jobs came, %d are left", done, w.stored(jobs, ">"))
		}
	}
}

// TestMoreLanesThanConsumers: all jobs of many lanes come, with few consumers at any
// time, and none is left in the end.
func TestMoreLanesThanConsumers(t *testing.T) {
	t.Parallel()
	const most, lanes, each = 8, 120, 3
	w, _ := farWorld(t)
	stream, err := w.js.Stream(t.Context(), w.stream(jobs))
	must(t, err)
	config := stream.CachedInfo().Config
	config.MaxConsumers = most + spareConsumers
	_, err = w.js.UpdateStream(t.Context(), config)
	must(t, err)
	for _, lane := range someLanes("d", lanes) {
		w.publish(lane, each)
	}
	in := w.take(LaneSettings{Concurrency: 4, Lease: time.Hour}, 4096, calm)
	watching, stop := context.WithCancel(t.Context())
	highest := make(chan int, 1)
	go func() {
		most := 0
		for watching.Err() == nil { // each look is a question to the server
			if stream, err := w.js.Stream(watching, w.stream(jobs)); err == nil {
				most = max(most, stream.CachedInfo().State.Consumers)
			}
		}
		highest <- most
	}()
	if n := w.work(in); n != lanes*each {
		t.Errorf("%d jobs came, want %d", n, lanes*each)
	}
	stop()
	if n := <-highest; n > most {
		t.Errorf("%d consumers at once, want at most %d", n, most)
	}
}

// TestANewJobOfAnUnknownLane is noticed by what the server tells of it, long before
// the next listing.
func TestANewJobOfAnUnknownLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := calm
	p.list, p.beat = time.Hour, time.Hour
	p.term = 3 * time.Hour
	in := w.take(patient, 16, p)
	until(t, "it looks after the lanes", func() bool { return !in.board.silent(time.Now(), time.Hour) })
	w.publish(lane1, 1)
	until(t, "the lane is offered", func() bool { return in.board.offers(lane1.Tail()) })
}

// TestALaneIsServedAsItsStateSays: a paused lane is not offered, one that is broken
// only to be probed, and to its prober; a limit is the consumer's.
func TestALaneIsServedAsItsStateSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(lane1, 5)
	w.put(paused(lane1, time.Now().Add(time.Hour)))
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm)
	w.publish(lane2, 1)
	until(t, "the other lane is offered", func() bool { return in.board.offers(lane2.Tail()) })
	if in.board.offers(lane1.Tail()) || w.consumers() != 1 {
		t.Errorf("a paused lane is offered: %t; %d consumers", in.board.offers(lane1.Tail()), w.consumers())
	}
	state := w.get(lane1)
	state.Pause, state.Limit = nil, 2
	state.Breaker = &worker.Breaker{Since: time.Now(), Until: time.Now().Add(time.Second), Opened: 1}
	state = w.put(state)
	until(t, "it is to be probed", func() bool {
		for _, depth := range in.Offer().Lanes {
			if depth.Lane == lane1 {
				return !depth.Served && depth.Jobs == 5
			}
		}
		return false
	})
	state.Breaker.Prober = "somebody"
	state = w.put(state)
	until(t, "it is offered to its prober", func() bool { return in.board.offers(lane1.Tail()) })
	if n := w.consumer(lane1).Config.MaxAckPending; n != 2 {
		t.Errorf("%d jobs at once, want the operator's 2", n)
	}
	state.Breaker, state.Limit = nil, 0
	w.put(state)
	until(t, "the limit is over", func() bool { return w.consumer(lane1).Config.MaxAckPending == 5 })
}

// TestTheTenurePassesOn: another worker looks after the lanes when the first stops, at
// once, and when it is silent, after a while.
func TestTheTenurePassesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.take(patient, 16, calm)
	until(t, "the first looks after the lanes", func() bool { return !first.board.silent(time.Now(), time.Hour) })
	second := w.take(patient, 16, calm)
	first.Stop()
	w.publish(lane1, 1)
	until(t, "the second serves the lane", func() bool { return second.board.offers(lane1.Tail()) })
	if second.board.newest().From != second.inbox {
		t.Errorf("the offer is from another worker")
	}

	// A worker that died left its record.
	dead := newTenure(w.Conn, "dead", time.Second)
	second.Stop()
	until(t, "the dead one had the tenure", func() bool { mine, err := dead.take(t.Context()); return err == nil && mine })
	third := w.take(patient, 16, calm)
	w.publish(lane2, 1)
	until(t, "the third serves the lane", func() bool { return third.board.offers(lane2.Tail()) })
}

// TestOneHasTheTenure: of many that take it at once one gets it, and keeps it while it
// renews it.
func TestOneHasTheTenure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const term = 500 * time.Millisecond
	var all []*tenure
	for i := range 5 {
		all = append(all, newTenure(w.Conn, fmt.Sprint("w-", i), term))
	}
	holder := -1
	tick := time.NewTicker(term / 10)
	defer tick.Stop()
	for began := range 40 { // four terms
		if began > 0 {
			<-tick.C
		}
		for i, one := range all {
			mine, err := one.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if mine && holder < 0 {
				holder = i
			}
			if mine && i != holder {
				t.Fatalf("w-%d has the tenure of w-%d", i, holder)
			}
		}
	}
	if !all[holder].mine(time.Now()) {
		t.Fatal("the holder lost its tenure")
	}
	next := all[(holder+1)%len(all)]
	until(t, "another takes it over", func() bool { mine, err := next.take(t.Context()); return err == nil && mine })
	if all[holder].mine(time.Now()) {
		t.Error("two have the tenure")
	}
}

// TestAStuckMessageIsDelivered: one that the stream holds and its consumer believes
// settled comes again, once nothing of its lane is in hand.
func TestAStuckMessageIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A consumer of a limit of deliveries leaves what a killed server leaves.
	_, err := w.js.CreateConsumer(t.Context(), w.stream(jobs), jetstream.ConsumerConfig{
		Durable: consumerName(lane1), FilterSubject: schemas.JobSubject(w.prefix, lane1), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: time.Hour, MaxDeliver: 1, MaxAckPending: 100, MaxWaiting: maxWaiting, InactiveThreshold: time.Hour,
	})
	must(t, err)
	w.publish(lane1, 1)
	consumer, err := w.js.Consumer(t.Context(), w.stream(jobs), consumerName(lane1))
	must(t, err)
	msg, err := consumer.Next(jetstream.FetchMaxWait(answerTime))
	must(t, err)
	must(t, msg.Nak())
	until(t, "the consumer believes it settled", func() bool {
		// NATS: the limit is looked at when somebody asks for a message.
		if _, err := consumer.FetchNoWait(1); err != nil {
			return false
		}
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0
	})
	p := calm
	p.sweepLost = 200 * time.Millisecond
	in := w.take(LaneSettings{Concurrency: 100, Lease: time.Hour}, 16, p)
	until(t, "the consumer is another", func() bool {
		info, err := w.js.Consumer(t.Context(), w.stream(jobs), consumerName(lane1))
		return err == nil && info.CachedInfo().Config.MaxDeliver == -1
	})
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	ack(t, job(t, in))
}

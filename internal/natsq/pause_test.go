package natsq

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// What is relied on of JetStream's consumer pause, on a real server.

// none makes sure that a lane gives nothing: an ask of it ends empty.
func none(t *testing.T, in *Intake, number uint64) {
	t.Helper()
	if a := next(t, in); a.Delivery != nil || a.Ask != number || !a.Done || a.Refused {
		t.Fatalf("%+v, want the end of an ask that found nothing", a)
	}
}

func TestAPausedLaneGivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in, other := w.take(patient, 16, pace{heartbeat: 100 * time.Millisecond, grace: time.Minute, sweep: 50 * time.Millisecond}), w.take(patient, 16, calm)
	w.publish(lane1, 1)
	w.publish(lane2, 1)
	look(t, in)
	look(t, other)
	askFor(t, in, lane1, 1, time.Minute)
	ack(t, job(t, in))
	next(t, in)

	waiting := askFor(t, in, lane1, 1, time.Hour) // before the pause
	until(t, "the server holds the ask", func() bool { return w.consumer(lane1).NumWaiting == 1 })
	w.put(paused(lane1, time.Now().Add(time.Hour)))
	w.publish(lane1, 3)
	none(t, other, askFor(t, other, lane1, 1, 200*time.Millisecond)) // after it
	askFor(t, other, lane2, 1, time.Minute)
	ack(t, job(t, other)) // the other lane flows
	next(t, other)
	none(t, other, askFor(t, other, lane1, 1, 200*time.Millisecond))
	if n := len(in.Answers()); n > 0 {
		t.Fatalf("the ask that waited has %d answers", n)
	}

	w.put(worker.LaneState{Lane: lane1})
	if d := job(t, in); string(d.Data()) != "job 0" {
		t.Errorf("%q comes first", d.Data())
	}
	if done := next(t, in); done.Ask != waiting || done.Refused {
		t.Errorf("%+v", done) // heartbeats kept the ask alive
	}
}

// TestAPauseEndsByItself, and a job given back before it comes first.
func TestAPauseEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 3)
	look(t, in)
	askFor(t, in, lane1, 2, time.Minute)
	first, second := job(t, in), job(t, in)
	next(t, in)
	if err := first.GiveBack(0); err != nil {
		t.Fatal(err)
	}
	until(t, "it is given back", func() bool { return w.consumer(lane1).NumRedelivered == 1 || w.consumer(lane1).NumAckPending >= 1 })
	end := time.Now().Add(2 * time.Second)
	w.put(paused(lane1, end))
	askFor(t, in, lane1, 3, time.Minute)
	for i, want := range []string{"job 0", "job 2"} {
		d := job(t, in)
		if string(d.Data()) != want {
			t.Errorf("%q comes at place %d, want %q", d.Data(), i, want)
		}
		if time.Now().Before(end) {
			t.Error("a job came before the end of the pause")
		}
	}
	ack(t, second)
}

func TestAPauseOutlivesAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 1)
	w.publish(lane2, 1)
	look(t, in)
	state := w.put(paused(lane1, time.Now().Add(time.Hour)))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is back", w.Connected)
	look(t, in)
	askFor(t, in, lane2, 1, time.Minute)
	job(t, in)
	next(t, in)
	none(t, in, askFor(t, in, lane1, 1, 300*time.Millisecond))
	if info := w.consumer(lane1); !info.Paused || !info.Config.PauseUntil.Equal(state.Pause.Until) {
		t.Errorf("paused: %v until %v", info.Paused, info.Config.PauseUntil)
	}
	w.put(worker.LaneState{Lane: lane1})
	askFor(t, in, lane1, 1, time.Minute)
	job(t, in)
}

// TestProbing: a lane that one worker probes is open, however long the breaker
// would have been.
func TestProbing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 1)
	look(t, in)
	breaker := worker.Breaker{Since: time.Now().UTC(), Until: time.Now().Add(time.Hour).UTC(), Opened: 1}
	w.put(worker.LaneState{Lane: lane1, Breaker: &breaker})
	none(t, in, askFor(t, in, lane1, 1, 200*time.Millisecond))
	probing := breaker
	probing.Prober = "w-1"
	w.put(worker.LaneState{Lane: lane1, Breaker: &probing})
	askFor(t, in, lane1, 1, time.Minute)
	job(t, in)
}

// TestConsumersAreMadeAsTheStateSays: the state is older than the consumer, or
// was written by somebody who died before the queue obeyed.
func TestConsumersAreMadeAsTheStateSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(lane1, 1)
	w.publish(lane2, 1)
	state := paused(lane1, time.Now().Add(time.Hour))
	state.Limit = 3
	state = w.put(state) // no consumer yet: no error
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm)
	look(t, in)
	none(t, in, askFor(t, in, lane1, 1, 200*time.Millisecond))
	if info := w.consumer(lane1); !info.Paused || info.Config.MaxAckPending != 3 {
		t.Errorf("paused: %v, limit %d", info.Paused, info.Config.MaxAckPending)
	}
	if info := w.consumer(lane2); info.Paused || info.Config.MaxAckPending != 5 || info.Config.PauseUntil != nil {
		t.Errorf("the other lane: paused: %v, limit %d", info.Paused, info.Config.MaxAckPending)
	}
	dies := func(state worker.LaneState, value string) {
		t.Helper()
		write := &laneWrite{control: w.control(), lane: state.Lane, expected: w.get(state.Lane).Revision}
		if value != "" {
			write.value = []byte(value)
		}
		if err := write.try(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	dies(state, "") // having removed the state
	look(t, w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm))
	if info := w.consumer(lane1); info.Paused || info.Config.MaxAckPending != 5 {
		t.Errorf("the state was removed: paused: %v, limit %d", info.Paused, info.Config.MaxAckPending)
	}
	dies(worker.LaneState{Lane: lane2}, `{"pause":{"until":"2199-01-01T00:00:00Z"}}`) // having written one
	look(t, w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm))
	if info := w.consumer(lane2); !info.Paused {
		t.Error("the lane is not paused")
	}
	dies(worker.LaneState{Lane: lane2}, "")
	if _, err := w.control().Put(t.Context(), w.get(lane2)); err != nil { // a repeat of what was interrupted
		t.Fatal(err)
	}
	if w.consumer(lane2).Paused {
		t.Error("the lane is still paused")
	}

	// Paused by a record that is gone without a trace.
	w.put(paused(lane1, time.Now().Add(time.Hour)))
	bucket, err := w.js.Stream(t.Context(), "KV_CHARTPOST_CONTROL")
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.control().Put(t.Context(), worker.LaneState{Lane: lane1}); err != nil {
		t.Fatal(err)
	}
	if w.consumer(lane1).Paused {
		t.Error("the lane is still paused")
	}
}

// TestALaneIsMadePaused, and not paused once made: jobs would slip through.
func TestALaneIsMadePaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.take(patient, 16, calm).config(paused(lane1, time.Now().Add(time.Hour)))
	if _, err := w.js.CreateConsumer(t.Context(), w.stream(jobs), config); err != nil {
		t.Fatal(err)
	}
	if info := w.consumer(lane1); !info.Paused {
		t.Errorf("made open: %+v", info.Config)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Hour}, 16, calm)
	w.publish(lane1, 9)
	look(t, in)
	w.put(worker.LaneState{Lane: lane1, Limit: 2})
	number := askFor(t, in, lane1, 8, 4*time.Second)
	for range 2 {
		job(t, in)
	}
	wantDone(t, in, number, lane1, 6, false)
	w.put(worker.LaneState{Lane: lane1})
	number = askFor(t, in, lane1, 8, 4*time.Second)
	for range 3 {
		job(t, in)
	}
	wantDone(t, in, number, lane1, 5, false)
}

// gone waits until the server has removed a lane's consumer.
func (w *world) gone() {
	w.t.Helper()
	until(w.t, "the consumer is removed", func() bool {
		_, err := w.js.Consumer(w.t.Context(), w.stream(jobs), consumerName(lane1))
		return err != nil
	})
}

func TestIdleLanesAreRemovedAndMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Second, Idle: 5 * time.Second}, 16, calm)
	w.publish(lane1, 3)
	look(t, in)
	askFor(t, in, lane1, 1, time.Minute)
	job(t, in) // and dies with it
	next(t, in)
	w.gone()

	// Jobs that wait are served again, the one that was in hand too.
	wantDone(t, in, askFor(t, in, lane1, 3, time.Minute), lane1, 3, true)
	look(t, in)
	askFor(t, in, lane1, 3, time.Minute)
	for _, want := range []string{"job 0", "job 1", "job 2"} {
		d := job(t, in)
		if string(d.Data()) != want {
			t.Errorf("%q came, want %q", d.Data(), want)
		}
		ack(t, d)
	}
	next(t, in)
	w.gone()

	// A pause outlives its consumer.
	w.publish(lane1, 1)
	w.put(paused(lane1, time.Now().Add(time.Hour)))
	wantDone(t, in, askFor(t, in, lane1, 1, time.Minute), lane1, 1, true)
	look(t, in)
	number := askFor(t, in, lane1, 1, 200*time.Millisecond)
	none(t, in, number)
	w.gone()
	w.put(worker.LaneState{Lane: lane1})
	wantDone(t, in, askFor(t, in, lane1, 1, time.Minute), lane1, 1, true)
	look(t, in)
	askFor(t, in, lane1, 1, time.Minute)
	ack(t, job(t, in))
}

// TestAnAskKeepsALane: as long as somebody waits for jobs it is not idle, while
// others made with it go.
func TestAnAskKeepsALane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(lane1, 1)
	look(t, w.take(patient, 16, calm))
	if idle := w.consumer(lane1).Config.InactiveThreshold; idle != 0 {
		t.Errorf("it is removed after %s", idle)
	}
	for i := range 5 {
		w.publish(schemas.Lane{Class: schemas.Live, Destination: fmt.Sprint("idle-", i)}, 1)
	}
	in := w.take(LaneSettings{Concurrency: 5, Lease: time.Hour, Idle: 5 * time.Second}, 16, calm)
	look(t, in)
	askFor(t, in, lane1, 1, time.Minute)
	d := job(t, in)
	next(t, in)
	ack(t, d)
	askFor(t, in, lane1, 1, time.Hour)
	until(t, "the others are removed", func() bool {
		s, err := w.js.Stream(t.Context(), w.stream(jobs))
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Consumers == 1
	})
	w.publish(lane1, 1)
	job(t, in)
}

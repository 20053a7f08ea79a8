package natsq

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

func TestConsumerDeletedUnderAnAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, time.Minute)
	ack(t, job(t, in))
	next(t, in)

	waiting := askFor(t, in, lane1, 4, time.Hour)
	until(t, "the server holds the ask", func() bool { return w.consumer(lane1).NumWaiting == 1 })
	remove := func() {
		if err := w.js.DeleteConsumer(t.Context(), w.stream(jobs), consumerName(lane1)); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	wantDone(t, in, waiting, lane1, 4, true)
	wantDone(t, in, askFor(t, in, lane1, 1, time.Hour), lane1, 1, true) // there is none to answer
	w.publish(lane1, 1)
	until(t, "the lane has a consumer again", func() bool {
		_, err := w.js.Consumer(t.Context(), w.stream(jobs), consumerName(lane1))
		return err == nil
	})
	askFor(t, in, lane1, 1, time.Minute)
	job(t, in)
}

func TestStopGivesBackWhatNobodyRead(t *testing.T) {
	t.Parallel()
	for name, capacity := range map[string]int{"buffered": 16, "a full channel": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.take(patient, capacity, calm), w.take(patient, 16, calm)
			w.publish(lane1, 4)
			look(t, a)
			askFor(t, a, lane1, 8, time.Hour)
			until(t, "all are leased and as many unread as can be", func() bool {
				return w.consumer(lane1).NumAckPending == 4 && len(a.Answers()) == min(capacity, 4)
			})
			a.Stop()
			a.Stop()
			if _, err := a.Ask(lane1, 1, time.Second); err == nil {
				t.Error("a stopped intake asks")
			}
			w.publish(lane1, 1)
			number := askFor(t, b, lane1, 5, time.Hour)
			for range 5 {
				ack(t, job(t, b))
			}
			wantDone(t, b, number, lane1, 0, false)
			if len(a.Answers()) != 0 {
				t.Error("a stopped intake holds answers")
			}
		})
	}
}

// TestStopInFullFlow stops an intake while jobs stream in: each is either read
// from it or another intake gets it, long before its lease ends.
func TestStopInFullFlow(t *testing.T) {
	t.Parallel()
	const total = 300
	w := newWorld(t)
	settings := LaneSettings{Concurrency: 1000, Lease: time.Hour}
	a, b := w.take(settings, 1000, calm), w.take(settings, 1000, calm)
	w.publish(lane1, 1)
	look(t, a)
	askFor(t, a, lane1, 500, time.Hour)
	published := make(chan struct{})
	go func() {
		defer close(published)
		for range total - 1 {
			if err := w.nc.PublishMsg(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane1)}); err != nil {
				t.Error(err)
			}
		}
		w.nc.Flush()
	}()
	seen := map[uint64]bool{}
	for range 20 {
		d := job(t, a)
		seen[d.Sequence()] = true
		ack(t, d)
	}
	a.Stop()
	<-published
	askFor(t, b, lane1, total-20, time.Hour)
	for len(seen) < total {
		d := job(t, b)
		if seen[d.Sequence()] {
			t.Fatalf("job %d came again", d.Sequence())
		}
		seen[d.Sequence()] = true
		ack(t, d)
	}
}

// TestStopLeavesNothingRunning is not parallel: it looks at all goroutines.
func TestStopLeavesNothingRunning(t *testing.T) {
	w := newWorld(t)
	// Nobody reads: the sweep and the receiver both wait to hand over.
	p := brisk(pace{heartbeat: time.Hour, grace: 0, sweep: time.Millisecond})
	in := w.take(patient, 0, p)
	w.publish(lane1, 2)
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	until(t, "a job waits to be handed over", func() bool { return strings.Contains(goroutines(t), "natsq.(*Intake).receive") })
	askFor(t, in, lane2, 1, 10*time.Millisecond)
	until(t, "the sweep waits too", func() bool { return strings.Contains(goroutines(t), "natsq.(*Intake).end") })
	in.Stop()
	until(t, "nothing of the intake runs", func() bool { return !strings.Contains(goroutines(t), "natsq.(*Intake)") })
	other := w.take(patient, 4, calm)
	askFor(t, other, lane1, 2, time.Hour)
	job(t, other)
	job(t, other)
}

func goroutines(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHostileMessagesAreJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.take(patient, 16, calm)
	subject := schemas.JobSubject(w.prefix, lane1)
	messages := []*nats.Msg{
		{Header: nats.Header{"Status": {"404"}, "Description": {"No Messages"}}},
		{Header: nats.Header{"Status": {"100"}}, Data: []byte("x")},
		{Header: nats.Header{"Status": {"503"}}},
		{Header: nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}, "Nats-Last-Consumer": {"5"}, "Nats-Consumer-Stalled": {"x"}}},
		{Header: nats.Header{HeaderAttempt: {"7"}, "Nats-Stream": {"OTHER"}, "Nats-Sequence": {"9"}, "Nats-Pending-Messages": {"0"}}},
		{Header: nats.Header{HeaderAttempt: {"x"}}},
		{}, // empty
	}
	for _, msg := range messages {
		msg.Subject = subject
		w.send(msg)
	}
	for name, value := range map[string]string{
		"Nats-Scheduler": "chartpost.later.good-health.x", "Nats-Schedule-Next": "purge", "Nats-Schedule": "@at 2030-01-01T00:00:00Z",
		"Nats-Stream-Source": "CHARTPOST_DUE 1 > >", "Nats-Rollup": "all", "Nats-TTL": "1s", "Nats-Incr": "1", "Nats-Batch-Id": "x",
	} {
		forged := &nats.Msg{Subject: subject, Header: nats.Header{HeaderAttempt: {"7"}, name: {value}}}
		if _, err := w.js.PublishMsg(t.Context(), forged); err == nil {
			t.Errorf("the server takes %s from a publisher", name)
		}
	}
	look(t, in)
	number := askFor(t, in, lane1, len(messages), time.Hour)
	for i, msg := range messages {
		a := next(t, in)
		if a.Ask != number || a.Delivery == nil || a.Delivery.Attempt(schemas.KeyOf(lane1, "x")) != 0 || a.Delivery.Line() != (worker.Line{}) || !bytes.Equal(a.Delivery.Data(), msg.Data) {
			t.Errorf("%d: %+v", i, a)
		}
	}
	wantDone(t, in, number, lane1, 0, false)
}

// TestServerKilled takes jobs, kills the server, and finds every job again.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	// Only the reconnect ends the asks: silence would take an hour.
	p := brisk(pace{heartbeat: 5 * time.Second, grace: time.Hour, sweep: 20 * time.Millisecond})
	in := w.take(LaneSettings{Concurrency: 100, Lease: 2 * time.Second}, 100, p)
	w.publish(lane1, 5)
	w.publish(lane2, 1)
	look(t, in)
	askFor(t, in, lane2, 1, time.Hour)
	ack(t, job(t, in))
	next(t, in)
	first := askFor(t, in, lane1, 2, time.Hour)
	job(t, in)
	job(t, in)
	wantDone(t, in, first, lane1, 0, false)
	waiting := askFor(t, in, lane2, 3, time.Hour)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is lost", func() bool { return !w.Connected() })
	if _, err := in.Ask(lane1, 1, time.Second); err == nil {
		t.Error("asked a server that is away")
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDone(t, in, waiting, lane2, 3, true)
	seen := map[uint64]bool{}
	until(t, "all five jobs are done", func() bool {
		look(t, in)
		if _, err := in.Ask(lane1, 10, time.Second); err != nil {
			return false
		}
		for a := next(t, in); !a.Done; a = next(t, in) {
			if a.Delivery.Ack(t.Context()) == nil {
				seen[a.Delivery.Sequence()] = true
			}
		}
		return len(seen) == 5 && w.stored(jobs, "chartpost.jobs.>") == 0
	})
}

// TestSilence freezes the server: the connection stands and nothing comes.
func TestSilence(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t, unasked)
	p := brisk(pace{heartbeat: 200 * time.Millisecond, grace: 8 * time.Second, sweep: 10 * time.Millisecond})
	in := w.take(LaneSettings{Concurrency: 100, Lease: 2 * time.Second}, 100, p)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	ack(t, job(t, in))
	next(t, in)
	long := askFor(t, in, lane1, 2, time.Hour)
	until(t, "the server holds the ask", func() bool { return w.consumer(lane1).NumWaiting == 1 })
	freeze(t, w, server)
	wantDone(t, in, long, lane1, 2, true)
	short := askFor(t, in, lane1, 1, 100*time.Millisecond)
	wantDone(t, in, short, lane1, 1, true)
	if !w.Connected() {
		t.Fatal("the connection is lost; the test shows nothing")
	}
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// The old ask stands at the server and may bring what a new one wants.
	w.publish(lane1, 3)
	seen := map[uint64]bool{}
	until(t, "all three jobs are done", func() bool {
		look(t, in)
		if _, err := in.Ask(lane1, 10, 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for a := next(t, in); !a.Done; a = next(t, in) {
			if a.Delivery.Ack(t.Context()) == nil {
				seen[a.Delivery.Sequence()] = true
			}
		}
		return len(seen) == 3
	})
}

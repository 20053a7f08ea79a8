package natsq

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/worker"
)

// leased gives one leased job and a second intake that waits for more.
func leased(t *testing.T, lease time.Duration) (w *world, d worker.Delivery, in, other *Intake) {
	t.Helper()
	w = newWorld(t)
	settings := LaneSettings{Concurrency: 10, Lease: lease}
	in, other = w.take(settings, 16, calm), w.take(settings, 16, calm)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	d = job(t, in)
	next(t, in)
	askFor(t, other, lane1, 1, time.Hour)
	return w, d, in, other
}

func TestExtendRenewsTheLease(t *testing.T) {
	t.Parallel()
	const lease = 6 * time.Second // longer than a slow machine stands still
	_, d, _, other := leased(t, lease)
	started := time.Now()
	until(t, "the job is held far beyond its lease", func() bool {
		if err := d.Extend(); err != nil {
			t.Fatal(err)
		}
		if len(other.Answers()) > 0 {
			t.Fatal("the job was delivered again while its lease was renewed")
		}
		return time.Since(started) > 3*lease/2
	})
	if again := job(t, other); again.Sequence() != d.Sequence() {
		t.Errorf("job %d came, want %d", again.Sequence(), d.Sequence())
	}
}

func TestAckIsConfirmed(t *testing.T) {
	t.Parallel()
	w, d, in, _ := leased(t, time.Hour)
	in.Stop() // a job in hand outlives the intake
	if err := d.Extend(); err != nil {
		t.Errorf("extending after the intake stopped: %v", err)
	}
	ack(t, d)
	if n := w.stored(jobs, "chartpost.jobs.>"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
	if err := d.Ack(t.Context()); !errors.Is(err, nats.ErrMsgAlreadyAckd) {
		t.Errorf("acknowledged twice: %v", err)
	}
	if err := d.GiveBack(0); err == nil {
		t.Error("given back after the acknowledgement")
	}
}

// TestAckAgain: an acknowledgement whose answer was lost is answered when it is
// sent again.
func TestAckAgain(t *testing.T) {
	t.Parallel()
	w, d, _, _ := leased(t, time.Hour)
	reply := d.(*delivery).msg.Reply
	if _, err := w.nc.Request(reply, []byte("+ACK"), limit); err != nil {
		t.Fatal(err)
	}
	ack(t, d)
}

// TestAckWithoutItsAnswer: the server took it, the answer is lost with the
// connection, and the next try is answered.
func TestAckWithoutItsAnswer(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	in := dial(t, line.URL()).take(patient, 16, calm)
	w.publish(lane1, 1)
	look(t, in)
	askFor(t, in, lane1, 1, time.Hour)
	d := job(t, in)
	line.Deafen(true)
	acked := make(chan error, 1)
	go func() { acked <- d.Ack(t.Context()) }()
	until(t, "the server has taken it", func() bool { return w.stored(jobs, ">") == 0 })
	line.Deafen(false)
	if err := <-acked; err != nil {
		t.Error(err)
	}
}

// TestLateAck: the copy was given to another worker; the first one's
// acknowledgement still ends it.
func TestLateAck(t *testing.T) {
	t.Parallel()
	w, d, _, other := leased(t, time.Second)
	again := job(t, other)
	ack(t, d)
	ack(t, again)
	if n := w.stored(jobs, "chartpost.jobs.>"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

func TestAckWithNobodyToConfirm(t *testing.T) {
	t.Parallel()
	w, d, _, _ := leased(t, time.Hour)
	if err := w.js.DeleteConsumer(t.Context(), w.stream(jobs), consumerName(lane1)); err != nil {
		t.Fatal(err)
	}
	// The deadline may cut off the last try, which then has met nothing.
	until(t, "it ends with the deadline and what the last try met", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		err := d.Ack(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the deadline", err)
		}
		return errors.Is(err, nats.ErrNoResponders)
	})
}

func TestGiveBackAtOnce(t *testing.T) {
	t.Parallel()
	_, d, _, other := leased(t, time.Hour)
	if err := d.GiveBack(0); err != nil {
		t.Fatal(err)
	}
	if again := job(t, other); again.Sequence() != d.Sequence() {
		t.Errorf("job %d came, want %d", again.Sequence(), d.Sequence())
	}
}

func TestGiveBackLater(t *testing.T) {
	t.Parallel()
	const delay = 1500 * time.Millisecond
	_, d, _, other := leased(t, time.Hour)
	given := time.Now()
	if err := d.GiveBack(delay); err != nil {
		t.Fatal(err)
	}
	again := job(t, other)
	if took := time.Since(given); took < delay {
		t.Errorf("the job was back after %s, want %s or more", took, delay)
	}
	if again.Sequence() != d.Sequence() {
		t.Errorf("job %d came, want %d", again.Sequence(), d.Sequence())
	}
}

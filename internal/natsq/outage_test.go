package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// unasked keeps a connection to a frozen server standing for as long as the test
// takes: the pings would give it up after 10-15 s.
var unasked = nats.PingInterval(time.Hour)

// freeze stops a server and waits until it is silent: a signal takes its time.
func freeze(t *testing.T, w *world, server *devstack.ServerProcess) {
	t.Helper()
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the server is silent", func() bool { return w.nc.FlushTimeout(100*time.Millisecond) != nil })
}

// TestPublishingOutlivesAKill tells while the server is away, and once more
// with the answer lost to the kill: each is stored once.
func TestPublishingOutlivesAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t, unasked)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	told := make(chan error, 3)
	tell := func(id string) { told <- w.Outbox().Tell(ctx, lane1, eventOf(lane1, id, schemas.StatusUploaded)) }

	freeze(t, w, server)
	sent := w.nc.Stats().OutMsgs
	go tell("unanswered")
	until(t, "it is sent", func() bool { return w.nc.Stats().OutMsgs > sent })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is lost", func() bool { return !w.Connected() })
	go tell("away")
	go func() { told <- w.Outbox().Submit(ctx, lane1, "away", []byte("x")) }()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	if n, m := w.stored(events, ">"), w.stored(jobs, ">"); n != 2 || m != 1 {
		t.Errorf("%d events and %d jobs, want 2 and 1", n, m)
	}
}

// TestASilentServerIsGivenUp: one that dies without a word, in far less than the
// minutes the library takes, and the connection stands again when it answers.
func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	freeze(t, w, server)
	until(t, "the connection is given up", func() bool { return !w.Connected() })
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection stands again", w.Connected)
	if n := w.stored(jobs, ">"); n != 0 {
		t.Errorf("%d jobs in an empty stream", n)
	}
}

// TestNothingIsSentAfterItWasGivenUp: what failed while the server was away
// does not happen when it is back.
func TestNothingIsSentAfterItWasGivenUp(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is lost", func() bool { return !w.Connected() })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := w.Outbox().Submit(ctx, lane1, "a", []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is back", w.Connected)
	w.send(&nats.Msg{Subject: schemas.JobSubject(w.prefix, lane2)})
	if n := w.stored(jobs, ">"); n != 1 {
		t.Errorf("%d jobs, want the second alone", n)
	}
}

func TestTheEndOfTheContextStopsPublishing(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t, unasked)
	freeze(t, w, server)
	calls := map[string]func(context.Context) error{
		"tell": func(ctx context.Context) error {
			return w.Outbox().Tell(ctx, lane1, eventOf(lane1, "a", schemas.StatusUploaded))
		},
		"bury": func(ctx context.Context) error { return w.Outbox().Bury(ctx, letter) },
		"later": func(ctx context.Context) error {
			return w.Outbox().Later(ctx, worker.Schedule{Lane: lane1, JobID: "a"})
		},
		"holds": func(ctx context.Context) error {
			_, err := w.Outbox().Holds(ctx, 1, time.Now(), schemas.KeyOf(lane1, "a"))
			return err
		},
		"submit": func(ctx context.Context) error {
			return w.Outbox().Submit(ctx, lane1, "a", nil)
		},
	}
	for name, call := range calls {
		ended, end := context.WithCancel(t.Context())
		end()
		sent := w.nc.Stats().OutMsgs
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end: %v", name, err)
		}
		if w.nc.Stats().OutMsgs != sent {
			t.Errorf("%s sent something after the end", name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- call(ctx) }()
		until(t, name+" is under way", func() bool { return w.nc.Stats().OutMsgs > sent })
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(limit):
			t.Errorf("%s goes on after its context has ended", name)
		}
	}
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// TestDeniedPublish: the caller gets an error, and the log has the reason.
func TestDeniedPublish(t *testing.T) {
	t.Parallel()
	_, w, _ := divided(t, "chartpost.events.>")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := w.Outbox().Tell(ctx, lane1, eventOf(lane1, "a", schemas.StatusUploaded)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	until(t, "the log has the reason", func() bool {
		said := w.said.String()
		return strings.Contains(said, "ermissions") && strings.Contains(said, "chartpost.events.live.good-health.uploaded")
	})
	if err := w.Outbox().Bury(t.Context(), letter); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
}

func TestHopelessErrors(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{nats.ErrMaxPayload, nats.ErrConnectionClosed, nats.ErrMsgAlreadyAckd} {
		if !hopeless(fmt.Errorf("x: %w", cause)) {
			t.Errorf("%v would be tried again", cause)
		}
	}
	for _, cause := range []error{nats.ErrNoResponders, nats.ErrTimeout, context.DeadlineExceeded} {
		if hopeless(cause) {
			t.Errorf("%v would not be tried again", cause)
		}
	}
}

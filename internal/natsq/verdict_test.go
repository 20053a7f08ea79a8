package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/worker"
)

// later tries for a while to schedule a job of some size.
func later(t *testing.T, w *world, size int, patience time.Duration) *fault.Fault {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := w.Outbox().Later(ctx, worker.Schedule{Lane: lane1, JobID: "job-canary", Data: []byte(strings.Repeat("x", size)), Attempt: 2, At: time.Now().Add(time.Hour)})
	f, ok := errors.AsType[*fault.Fault](err)
	if err != nil && !ok {
		t.Fatalf("not judged: %v", err)
	}
	return f
}

// TestErrorsOfTheQueueAreJudged, each as a real server answers it: a code that stays,
// what to do, and whether to go on.
func TestErrorsOfTheQueueAreJudged(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		world    func(t *testing.T) *world
		size     int
		patience time.Duration
		do       string
		final    bool
	}{
		"queue_max_payload": {size: 100_000, patience: time.Minute, do: "max_payload", final: true, world: func(t *testing.T) *world {
			return joinWorld(t, startServer(t, server.Options{MaxPayload: 64 << 10}).ClientURL())
		}},
		"queue_permission": {patience: 7 * time.Second, do: "docs/permissions.md", world: func(t *testing.T) *world {
			_, poor, _ := divided(t, "chartpost.later.>")
			return poor
		}},
		"queue_stream_missing": {patience: 2 * time.Second, do: "chartpost setup", world: func(t *testing.T) *world {
			w := newWorld(t)
			must(t, w.js.DeleteStream(t.Context(), w.stream(dueJobs)))
			return w
		}},
		"queue_layout": {patience: 2 * time.Second, do: "chartpost setup", world: func(t *testing.T) *world {
			w := newWorld(t)
			must(t, w.js.DeleteStream(t.Context(), w.stream(dueJobs)))
			_, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"chartpost.later.>", "chartpost.due.>"}, AllowMsgSchedules: true})
			must(t, err)
			return w
		}},
		"queue_max_message_size": {patience: 2 * time.Second, do: "max_msg_size", world: func(t *testing.T) *world {
			w := newWorld(t)
			stream, err := w.js.Stream(t.Context(), w.stream(dueJobs))
			must(t, err)
			config := stream.CachedInfo().Config
			config.MaxMsgSize = 1
			_, err = w.js.UpdateStream(t.Context(), config)
			must(t, err)
			return w
		}},
		"queue_full": {patience: 2 * time.Second, do: "make room", world: func(t *testing.T) *world {
			r := fullStore(t)
			r.refuse()
			return r.world
		}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			f := later(t, c.world(t), max(c.size, 10), c.patience)
			if f == nil || f.Code != code || !strings.Contains(f.Text, c.do) {
				t.Fatalf("%v, want %s with %q", f, code, c.do)
			}
			if final := f.Kind == fault.Permanent && f.Scope == fault.Job; final != c.final || !final && (f.Kind != fault.Retryable || f.Scope != fault.Ledger) {
				t.Errorf("%s %s, final: want %t", f.Kind, f.Scope, c.final)
			}
			if strings.Contains(f.Error(), "canary") {
				t.Errorf("not for everybody: %s", f)
			}
		})
	}
	if f := later(t, newWorld(t), 10, time.Minute); f != nil {
		t.Errorf("without trouble: %v", f)
	}
}

// TestTheConsumerLimitIsNamed as the server answers it.
func TestTheConsumerLimitIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stream, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FEW", Subjects: []string{"few"}, MaxConsumers: 1})
	must(t, err)
	for range 2 {
		_, err = stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	}
	if v := verdictOf(fmt.Errorf("wrapped: %w", err), false); v != consumers {
		t.Errorf("%v is %+v", err, v)
	}
}

// TestVerdicts of errors that the library makes itself.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		err    error
		denied bool
		want   verdict
	}{
		{nats.ErrAuthExpired, false, login}, {nats.ErrAuthorization, true, login}, {nats.ErrPermissionViolation, false, forbidden},
		{nats.ErrTimeout, true, forbidden}, {nats.ErrTimeout, false, away}, {context.DeadlineExceeded, true, forbidden},
		{nats.ErrConnectionClosed, true, away}, {ErrOldLayout, false, layout}, {errOtherStream, false, layout},
		{&jetstream.APIError{ErrorCode: codeClusterAway}, true, away}, {&jetstream.APIError{ErrorCode: codeNoSchedules}, false, layout},
	} {
		if got := verdictOf(fmt.Errorf("wrapped: %w", c.err), c.denied); got != c.want {
			t.Errorf("%v, denied %t: %+v, want %+v", c.err, c.denied, got, c.want)
		}
	}
}

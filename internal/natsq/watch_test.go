package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
)

func (w *world) tell(lane schemas.Lane, ids ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	for _, id := range ids {
		if err := w.Outbox().Tell(ctx, lane, eventOf(lane, id, schemas.StatusUploaded)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func names(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("job-%d", i))
	}
	return out
}

func nothing() error { return nil }

func TestWatchSeesTheLaneInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell(lane1, names(0, 3)...)
	w.tell(lane2, "other")
	w.send(&nats.Msg{Subject: schemas.EventSubject(w.prefix, lane1, "uploaded"), Data: []byte("canary, no event")})
	for name, c := range map[string]struct {
		lane *schemas.Lane
		want []string
	}{
		"one lane": {&lane1, names(0, 300)},
		"all":      {nil, slices.Concat(names(0, 3), []string{"other"}, names(3, 300))},
	} {
		var seen []string
		err := w.Watch(t.Context(), c.lane, time.Now().Add(-time.Hour),
			func() error { w.tell(lane1, names(3, 300)...); return nil },
			func(e schemas.Event) bool { seen = append(seen, e.Data.JobID); return len(seen) < len(c.want) })
		if err != nil || !slices.Equal(seen, c.want) {
			t.Errorf("%s: %d events, %v", name, len(seen), err)
		}
	}
	if said := w.said.String(); !strings.Contains(said, "cannot be read") || strings.Contains(said, "canary") {
		t.Errorf("the log says: %s", said)
	}
	w.wantNoConsumers(w.stream(events))
}

// wantNoConsumers looks for what a tail may have left on the server, which has
// been told to remove it and would do so by itself after tailIdle.
func (w *world) wantNoConsumers(stream string) {
	w.t.Helper()
	devtest.Until(w.t, "no consumer is left", tailIdle/2, func() bool {
		s, err := w.js.Stream(w.t.Context(), stream)
		if err != nil {
			w.t.Fatal(err)
		}
		return s.CachedInfo().State.Consumers == 0
	})
}

func TestWatchSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tell(lane1, "before")
	since := w.last(events, ">").Time.Add(1)
	w.tell(lane1, "after")
	err := w.Watch(t.Context(), nil, since, nothing, func(e schemas.Event) bool {
		if e.Data.JobID != "after" {
			t.Errorf("saw %s", e.Data.JobID)
		}
		return false
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Watch(ctx, &lane1, time.Now(), func() error { cancel(); return nil }, func(schemas.Event) bool { return true }); err != nil {
		t.Errorf("at the end of its context: %v", err)
	}
	broken := errors.New("broken")
	if err := w.Watch(t.Context(), &lane1, time.Now(), func() error { return broken }, nil); !errors.Is(err, broken) {
		t.Errorf("%v, want started's error", err)
	}
	w.wantNoConsumers(w.stream(events))
	if err := w.js.DeleteStream(t.Context(), w.stream(events)); err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(t.Context(), &lane1, time.Now(), nothing, nil); err == nil {
		t.Error("watched a stream that is not there")
	}
}

func TestWatchOutlivesAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	far := dial(t, server.URL())
	ids := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- far.Watch(t.Context(), &lane1, time.Now().Add(-time.Hour), nothing, func(e schemas.Event) bool {
			ids <- e.Data.JobID
			return e.Data.JobID != "job-29"
		})
	}()
	for round := range 3 {
		w.tell(lane1, names(round*10, round*10+10)...)
		for i := range 10 {
			select {
			case id := <-ids:
				if want := fmt.Sprintf("job-%d", round*10+i); id != want {
					t.Fatalf("%s came, want %s", id, want)
				}
			case <-time.After(limit):
				t.Fatal("an event did not come")
			}
		}
		if round == 2 {
			break
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		until(t, "both connections are lost", func() bool { return !w.Connected() && !far.Connected() })
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.wantNoConsumers(w.stream(events))
}

// TestWatchGoesOnWithoutItsConsumer: somebody deletes it under its feet.
func TestWatchGoesOnWithoutItsConsumer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var seen atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- w.Watch(t.Context(), nil, time.Now().Add(-time.Hour), nothing, func(schemas.Event) bool { return seen.Add(1) < 6 })
	}()
	w.tell(lane1, names(0, 3)...)
	until(t, "three events are seen", func() bool { return seen.Load() == 3 })
	s, err := w.js.Stream(t.Context(), w.stream(events))
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(t.Context()).Name() {
		if err := s.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	w.tell(lane1, names(3, 6)...)
	if err := <-done; err != nil || seen.Load() != 6 {
		t.Errorf("%d events, %v", seen.Load(), err)
	}
}

func TestWatchEndsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.Watch(ctx, nil, time.Now(), func() error { return server.Kill() }, func(schemas.Event) bool { return true })
	}()
	until(t, "the loss is noticed", func() bool { return strings.Contains(w.said.String(), "goes on") })
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(limit):
		t.Error("the watch goes on after its context has ended")
	}
}

// TestWatchFetchesWhatTheLineLost: an event is on its way when the connection
// breaks, the server believes it delivered, and no other follows.
func TestWatchFetchesWhatTheLineLost(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	far := dial(t, line.URL())
	ids := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- far.Watch(t.Context(), nil, time.Now().Add(-time.Hour), nothing, func(e schemas.Event) bool {
			ids <- e.Data.JobID
			return e.Data.JobID != "lost"
		})
	}()
	w.tell(lane1, "heard")
	if id := <-ids; id != "heard" {
		t.Fatal(id)
	}
	line.Deafen(true)
	w.tell(lane1, "lost")
	s, err := w.js.Stream(t.Context(), w.stream(events))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the server believes that it delivered the event", func() bool {
		for c := range s.ListConsumers(t.Context()).Info() {
			if c.Delivered.Stream == 2 {
				return true
			}
		}
		return false
	})
	line.Deafen(false)
	select {
	case err := <-done:
		if err != nil || <-ids != "lost" {
			t.Error(err)
		}
	case <-time.After(limit):
		t.Error("the event did not come")
	}
	// It would come so too, half a minute later.
	if said := far.said.String(); strings.Contains(said, "heartbeat") {
		t.Errorf("the loss was noticed by the library's heartbeat: %s", said)
	}
}

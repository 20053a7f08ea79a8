package natsq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// paused is a state in which an operator has paused the lane.
func paused(lane schemas.Lane, until time.Time) worker.LaneState {
	return worker.LaneState{Lane: lane, Pause: &worker.Pause{By: "ann", Reason: "maintenance", Since: time.Now().UTC(), Until: until.UTC()}}
}

// put writes a state as if it were the next of what is there.
func (w *world) put(state worker.LaneState) worker.LaneState {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	for {
		now, err := w.control().Get(ctx, state.Lane)
		if err != nil {
			w.t.Fatal(err)
		}
		state.Revision = now.Revision
		put, err := w.control().Put(ctx, state)
		if errors.Is(err, worker.ErrChanged) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return put
	}
}

func (w *world) get(lane schemas.Lane) worker.LaneState {
	w.t.Helper()
	state, err := w.control().Get(w.t.Context(), lane)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

func TestControlNeedsItsBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Control(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.js.DeleteKeyValue(t.Context(), "CHARTPOST_CONTROL"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Control(t.Context()); err == nil || !strings.Contains(err.Error(), "CHARTPOST_CONTROL") {
		t.Errorf("%v, want the bucket named", err)
	}
}

func TestPutIsACompareAndSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, ctx := w.control(), t.Context()
	must := func(s worker.LaneState) worker.LaneState {
		t.Helper()
		after, err := c.Put(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.get(s.Lane); !reflect.DeepEqual(got, after) {
			t.Fatalf("%+v is written, Put says %+v", got, after)
		}
		return after
	}
	changed := func(s worker.LaneState) {
		t.Helper()
		before := w.get(s.Lane)
		if _, err := c.Put(ctx, s); !errors.Is(err, worker.ErrChanged) {
			t.Fatalf("%v, want ErrChanged", err)
		}
		if after := w.get(s.Lane); !reflect.DeepEqual(before, after) {
			t.Fatalf("a refused Put has written %+v", after)
		}
	}
	empty := worker.LaneState{Lane: lane1}
	if got := must(empty); got.Revision != 0 {
		t.Errorf("nothing was said of the lane, and its revision is %d", got.Revision)
	}
	full := paused(lane1, time.Now().Add(time.Hour))
	full.Limit, full.Breaker = 3, &worker.Breaker{Since: time.Now().UTC(), Until: time.Now().UTC(), Opened: 2,
		Reason: schemas.Reason{Kind: "retryable", Code: "status", Text: "busy", Path: "/x"}, Prober: "w-1"}
	first := must(full)
	changed(full)  // as if it were new
	changed(empty) // so is the removal
	second := first
	second.Limit = 4
	second = must(second)
	changed(first)
	gone := must(worker.LaneState{Lane: lane1, Revision: second.Revision})
	if !gone.Empty() || gone.Revision <= second.Revision {
		t.Errorf("%+v after the removal", gone)
	}
	changed(second)
	again := must(full) // of revision 0: the removal is as good as nothing
	gone = must(worker.LaneState{Lane: lane1, Revision: again.Revision})
	full.Revision = gone.Revision
	must(full)
	if other := w.get(lane2); !other.Empty() || other.Revision != 0 {
		t.Errorf("the other lane has %+v", other)
	}
}

func TestStrayLanesHaveNoState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stray, err := schemas.ServedLane("chartpost", "chartpost.jobs.live.a_")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.control().Put(t.Context(), paused(stray, time.Now().Add(time.Hour))); err == nil {
		t.Error("its state would be that of another lane")
	}
}

// TestUnreadableRecord: it says nothing, is told of once, and can be replaced.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.control()
	for _, text := range []string{"canary", `{"limit":-1}`, `{"pause":"canary"}`, ""} {
		w.send(&nats.Msg{Subject: "$KV.CHARTPOST_CONTROL.lane.live.good-health", Data: []byte(text)})
		if got, err := c.Get(t.Context(), lane1); err != nil || !got.Empty() || got.Revision == 0 {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	if n := strings.Count(w.said.String(), "cannot be read"); n != 1 || strings.Contains(w.said.String(), "canary") {
		t.Errorf("told %d times: %s", n, w.said.String())
	}
	w.put(paused(lane1, time.Now().Add(time.Hour)))
}

// TestRacingPuts: however the writes of many fall between each other, the fleet ends
// up doing what the record says.
func TestRacingPuts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(lane1, 1)
	in := w.take(patient, 16, calm)
	look(t, in)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for round := range 10 {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				state := worker.LaneState{Lane: lane1}
				if (i+round)%3 != 0 {
					state = paused(lane1, at.Add(time.Duration(i)*time.Minute))
				}
				state.Limit = i
				w.put(state)
			})
		}
		all.Wait()
		state := w.get(lane1)
		until(t, "the lane is what its record says", func() bool {
			return w.consumer(lane1).Config.MaxAckPending == cmp.Or(state.Limit, patient.Concurrency) &&
				in.board.offers(lane1.Tail()) == (state.Pause == nil)
		})
	}
}

// TestPutThatSeemedToFail: the answer to a write is lost, and the write stands.
func TestPutThatSeemedToFail(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	far := dial(t, line.URL())
	state := paused(lane1, time.Now().Add(time.Hour))
	for _, step := range []string{"a first record", "a change", "a removal"} {
		line.Deafen(true)
		done := make(chan error, 1)
		before := w.get(lane1).Revision
		go func() {
			var err error
			state, err = far.control().Put(t.Context(), state)
			done <- err
		}()
		until(t, "the write is stored", func() bool { return w.get(lane1).Revision > before })
		line.Deafen(false)
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		if got := w.get(lane1); !reflect.DeepEqual(got, state) {
			t.Errorf("%s: %+v is written, Put says %+v", step, got, state)
		}
		if state.Limit++; step == "a change" {
			state = worker.LaneState{Lane: lane1, Revision: state.Revision}
		}
	}
}

func TestPutOutlivesAKill(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	w.publish(lane1, 1)
	look(t, w.take(patient, 16, calm))
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is lost", func() bool { return !w.Connected() })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := w.control().Put(ctx, paused(lane2, time.Now().Add(time.Hour))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	done := make(chan error, 1)
	go func() { _, err := w.control().Put(t.Context(), paused(lane1, time.Now().Add(time.Hour))); done <- err }()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w.get(lane1).Pause == nil || !w.get(lane2).Empty() {
		t.Error("the lane is not paused, or what was given up was written")
	}
}

// told is what a Follow has told, as a worker understands it: a state of a smaller
// revision than the one it has is old, unless it is that of no record at all.
type told struct {
	mu     sync.Mutex
	states map[schemas.Lane]worker.LaneState
}

func (w *world) follow(ctx context.Context) (*told, <-chan struct{}) {
	seen, ended := &told{states: map[schemas.Lane]worker.LaneState{}}, make(chan struct{})
	go func() {
		defer close(ended)
		w.control().Follow(ctx, func(s worker.LaneState) {
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if s.Revision == 0 || s.Revision >= seen.states[s.Lane].Revision {
				seen.states[s.Lane] = s
			}
		})
	}()
	return seen, ended
}

func (s *told) of(lane schemas.Lane) (worker.LaneState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.states[lane]
	return state, ok
}

func (s *told) await(t *testing.T, want worker.LaneState) {
	t.Helper()
	until(t, fmt.Sprintf("%+v is told", want), func() bool {
		got, ok := s.of(want.Lane)
		return ok && reflect.DeepEqual(got, want)
	})
}

func TestFollowTellsEveryChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lane3 := schemas.Lane{Class: schemas.Live, Destination: "never_mind.x"}
	w.put(paused(lane3, time.Now().Add(time.Hour)))
	w.put(worker.LaneState{Lane: lane3})
	first := w.put(paused(lane1, time.Now().Add(time.Hour)))
	w.send(&nats.Msg{Subject: "$KV.CHARTPOST_CONTROL.lane.live.a_", Data: []byte("{}")})
	w.send(&nats.Msg{Subject: "$KV.CHARTPOST_CONTROL.budget.live.a", Data: []byte("{}")})
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := w.follow(ctx)
	seen.await(t, first)
	if _, ok := seen.of(lane3); ok {
		t.Error("a lane was told of whose state was removed before")
	}
	seen.await(t, w.put(worker.LaneState{Lane: lane2, Limit: 2}))
	seen.await(t, w.put(worker.LaneState{Lane: lane2, Limit: 3}))
	seen.await(t, w.put(worker.LaneState{Lane: lane2}))
	seen.await(t, w.put(paused(lane3, time.Now().Add(time.Hour))))
	w.send(&nats.Msg{Subject: "$KV.CHARTPOST_CONTROL.lane.live.good-health", Data: []byte("canary")})
	seen.await(t, worker.LaneState{Lane: lane1, Revision: w.get(lane1).Revision})
	all, err := w.control().All(t.Context())
	if err != nil || len(all) != 1 || all[0].Lane != lane3 {
		t.Errorf("%+v, %v", all, err)
	}
	cancel()
	<-ended
	w.wantNoConsumers("KV_CHARTPOST_CONTROL")
}

// TestFollowOutlivesKills: what changed or vanished while the server or the
// connection was away is told when it is back.
func TestFollowOutlivesKills(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	line := devtest.NewLine(t, server.URL())
	far := dial(t, line.URL())
	stay := w.put(worker.LaneState{Lane: lane1, Limit: 1})
	w.put(worker.LaneState{Lane: lane2, Limit: 2})
	seen, _ := far.follow(t.Context())
	seen.await(t, stay)
	until(t, "both are told", func() bool { s, _ := seen.of(lane2); return s.Limit == 2 })
	for round := range 3 {
		line.Deafen(true)
		s, err := w.js.Stream(t.Context(), "KV_CHARTPOST_CONTROL")
		if err != nil {
			t.Fatal(err)
		}
		// Without a trace: no mark tells of it.
		if err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		stay = w.put(worker.LaneState{Lane: lane1, Limit: 10 + round})
		if round > 0 {
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			until(t, "the connection is back", w.Connected)
		}
		line.Deafen(false)
		seen.await(t, stay)
		seen.await(t, worker.LaneState{Lane: lane2})
		back := w.put(worker.LaneState{Lane: lane2, Limit: 2})
		seen.await(t, back)
		// A removal that follows another unseen has the revision to go on from.
		gone := w.put(worker.LaneState{Lane: lane2})
		seen.await(t, gone)
		line.Deafen(true)
		w.put(worker.LaneState{Lane: lane2, Limit: 5})
		gone = w.put(worker.LaneState{Lane: lane2})
		line.Deafen(false)
		seen.await(t, gone)
		back = w.put(worker.LaneState{Lane: lane2, Limit: 2})
		seen.await(t, back)
	}
}

func TestFollowBeginsAndEndsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	w, server := farWorld(t)
	state := w.put(worker.LaneState{Lane: lane1, Limit: 1})
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is lost", func() bool { return !w.Connected() })
	ctx, cancel := context.WithCancel(t.Context())
	_, ended := w.follow(ctx)
	seen, _ := w.follow(t.Context())
	cancel()
	select {
	case <-ended:
	case <-time.After(limit):
		t.Fatal("it goes on after its context has ended")
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen.await(t, state)
}

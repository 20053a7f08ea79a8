package natsq

import (
	"reflect"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// limited is a state of lane1.
func limited(n int) worker.LaneState { return worker.LaneState{Lane: lane1, Limit: n} }

// remake deletes the control bucket and makes it anew.
func (w *world) remake() {
	w.t.Helper()
	must(w.t, w.js.DeleteKeyValue(w.t.Context(), "CHARTPOST_CONTROL"))
	w.setUp(testLayout)
}

// TestFollowOutlivesItsBucket: the bucket is deleted and made anew, and
// revisions begin again.
func TestFollowOutlivesItsBucket(t *testing.T) {
	t.Parallel()
	stack := devtest.NATS(t, devstack.NATSOptions{LazySync: true})
	w := joinWorld(t, "", stack.InProcess())
	line := devtest.NewLine(t, stack.URL())
	seen, _ := dial(t, line.URL()).follow(t.Context())
	old := func() {
		for n := range 5 {
			w.put(limited(n + 1))
		}
		seen.await(t, w.get(lane1))
		seen.await(t, w.put(worker.LaneState{Lane: lane2, Limit: 1}))
	}
	old()
	w.remake()
	state := w.put(limited(7))
	if state.Revision != 1 {
		t.Fatalf("revision %d in a new bucket", state.Revision)
	}
	seen.await(t, state)
	seen.await(t, worker.LaneState{Lane: lane2})
	seen.await(t, w.put(worker.LaneState{Lane: lane2, Limit: 2}))

	// The revision is greater than the one told, and smaller than what the worker
	// knows of by writes of its own, the last of the old bucket.
	old()
	lane3 := lane2
	lane3.Destination = "third"
	line.Deafen(true)
	w.remake()
	for n := range 20 {
		state = w.put(limited(10 + n))
	}
	third := w.put(worker.LaneState{Lane: lane3, Limit: 1})
	seen.mu.Lock()
	seen.states[lane1] = worker.LaneState{Lane: lane1, Limit: 99, Revision: 1000}
	seen.states[lane3] = worker.LaneState{Lane: lane3, Limit: 99, Revision: 1001}
	seen.mu.Unlock()
	line.Deafen(false)
	seen.await(t, state)
	seen.await(t, third)
	seen.await(t, worker.LaneState{Lane: lane2})
}

// TestFollowOutlivesARestore: the server comes up with an older copy of the
// bucket, which is the same stream.
func TestFollowOutlivesARestore(t *testing.T) {
	t.Parallel()
	server, files := forgetful(t, "KV_CHARTPOST_CONTROL")
	w := joinWorld(t, server.URL())
	before := w.put(limited(1))
	files.keep(w)
	seen, _ := w.follow(t.Context())
	seen.await(t, before)
	seen.await(t, w.put(limited(2)))
	seen.await(t, w.put(worker.LaneState{Lane: lane2, Limit: 2}))
	files.bringBack(w)
	seen.await(t, before)
	seen.await(t, worker.LaneState{Lane: lane2})
}

// TestALateRecordIsNoNews: a replica that lags lists an older record of a lane,
// and none of another, which the leader has as they were told.
func TestALateRecordIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.put(limited(1))
	var told []worker.LaneState
	f := &following{
		control: w.control(), changed: func(s worker.LaneState) { told = append(told, s) }, listed: func() bool { return true },
	}
	f.asking(t.Context())
	list := func(waiting uint64) {
		t.Helper()
		if !f.begin(waiting) {
			t.Fatal("it has had enough")
		}
	}
	want := func(states ...worker.LaneState) {
		t.Helper()
		if !slices.EqualFunc(told, states, func(a, b worker.LaneState) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("told %+v, want %+v", told, states)
		}
		told = nil
	}
	tell := func(s worker.LaneState) {
		f.tell(s.Lane, record{[]byte(`{"limit":1}`), s.Revision})
	}
	list(2)
	second, other := w.put(limited(1)), w.put(worker.LaneState{Lane: lane2, Limit: 1})
	tell(second)
	tell(other)
	want(second, other)
	f.end()
	list(1)
	tell(first)
	f.end()
	want()
	tell(second)
	want(second)

	// It is gone without a trace where the leader has it no more.
	w.remake()
	f.found = map[schemas.Lane]bool{}
	tell(first)
	f.end()
	want(worker.LaneState{Lane: lane1}, first, worker.LaneState{Lane: lane2})
}

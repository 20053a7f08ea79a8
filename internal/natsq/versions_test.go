package natsq

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
	"github.com/chartpost/chartpost/worker"
)

// raw writes a record of the control bucket as another version would, and gives it.
func (w *world) raw(key, value string) func() string {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), w.stream(control))
	must(w.t, err)
	_, err = kv.Put(w.t.Context(), key, []byte(value))
	must(w.t, err)
	return func() string {
		w.t.Helper()
		entry, err := kv.Get(w.t.Context(), key)
		must(w.t, err)
		return string(entry.Value())
	}
}

// TestALaneStateOfALaterVersion shuts the lane here, and stays as it is.
func TestALaneStateOfALaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const later = `{"version":2,"pause":"of another kind"}`
	now := w.raw("lane."+lane1.Tail(), later)
	state := w.get(lane1)
	if !state.Later || state.Empty() || !state.ShutUntil().After(time.Now().Add(1000*time.Hour)) {
		t.Errorf("the lane is not shut: %+v", state)
	}
	state.Pause = nil
	if _, err := w.control().Put(t.Context(), state); !errors.Is(err, worker.ErrLater) {
		t.Errorf("%v, want ErrLater", err)
	}
	if now() != later {
		t.Errorf("the record was changed: %s", now())
	}
}

// TestALaneStateKeepsWhatALaterVersionAdded, also when nothing else is left of it.
func TestALaneStateKeepsWhatALaterVersionAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.raw("lane."+lane1.Tail(), `{"limit":3,"quota":{"a":1},"breaker":{"since":"2026-11-20T10:00:00Z","until":"2026-11-20T10:00:00Z","opened":1,"reason":{"kind":"k","code":"c"},"depth":4}}`)
	state := w.get(lane1)
	breaker := *state.Breaker
	breaker.Prober = "w-1"
	state.Breaker = &breaker
	state, err := w.control().Put(t.Context(), state)
	must(t, err)
	if text := now(); !strings.Contains(text, `"quota":{"a":1}`) || !strings.Contains(text, `"depth":4`) || !strings.Contains(text, `"version":1`) {
		t.Errorf("after a change: %s", text)
	}
	state.Breaker, state.Limit = nil, 0
	state, err = w.control().Put(t.Context(), state)
	must(t, err)
	if text := now(); !strings.Contains(text, `"quota":{"a":1}`) {
		t.Errorf("after the end of all else: %s", text)
	}
	if got := w.get(lane1); !reflect.DeepEqual(got, state) {
		t.Errorf("%+v, want %+v", got, state)
	}
}

// TestAFleetOfALaterVersion lets no worker of this one start, and its lease stays.
func TestAFleetOfALaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const later = `{"version":2,"lease":{"of":"another kind"}}`
	now := w.raw(fleetKey, later)
	if err := w.Join(t.Context(), Fleet{Lease: 12 * time.Second, Environment: "Development"}); !errors.Is(err, errFleet) || !strings.Contains(err.Error(), "later version") {
		t.Errorf("joined: %v", err)
	}
	if err := w.SetLease(t.Context(), time.Minute); !errors.Is(err, errFleet) {
		t.Errorf("its lease was set: %v", err)
	}
	if now() != later {
		t.Errorf("the record was changed: %s", now())
	}
}

func TestTheFleetKeepsWhatALaterVersionAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.raw(fleetKey, `{"version":1,"lease":"12s","environment":"Development","zone":"eu"}`)
	must(t, w.SetLease(t.Context(), time.Minute))
	must(t, w.Join(t.Context(), Fleet{Lease: time.Minute, Environment: "Development"}))
	if text := now(); !strings.Contains(text, `"zone":"eu"`) || !strings.Contains(text, `"lease":"1m0s"`) {
		t.Error(text)
	}
}

// TestARunOfALaterVersion is neither changed nor fed; whether it was cancelled is read.
func TestARunOfALaterVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const later = `{"version":2,"id":"r","state":"cancelled","lines":"many"}`
	now := w.raw(backfill.RunPrefix+"r", later)
	runs, err := w.Runs(t.Context())
	must(t, err)
	if _, _, err := backfill.LoadRun(t.Context(), runs, "r"); err == nil || !strings.Contains(err.Error(), "later version") {
		t.Errorf("read: %v", err)
	}
	if _, err := backfill.SetState(t.Context(), runs, "r", backfill.Running, "ann", time.Now()); err == nil {
		t.Error("its state was changed")
	}
	w.raw(backfill.RunPrefix+"r.feeder", `{"version":2,"beat":"slow"}`)
	if _, err := backfill.LoadCheckpoint(t.Context(), runs, "r"); err == nil || !strings.Contains(err.Error(), "later version") {
		t.Errorf("the checkpoint was read: %v", err)
	}
	if now() != later {
		t.Errorf("the record was changed: %s", now())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancelled := map[string]bool{}
	w.control().FollowRuns(ctx, func(run string, is bool) { cancelled[run] = is }, cancel)
	if !cancelled["r"] {
		t.Error("its jobs are not taken for cancelled")
	}
}

func TestARunKeepsWhatALaterVersionAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.raw(backfill.RunPrefix+"r", `{"id":"r","state":"running","lines":3,"owner":{"team":"a"}}`)
	runs, err := w.Runs(t.Context())
	must(t, err)
	_, err = backfill.SetState(t.Context(), runs, "r", backfill.Paused, "ann", time.Now())
	must(t, err)
	if text := now(); !strings.Contains(text, `"owner":{"team":"a"}`) || !strings.Contains(text, `"state":"paused"`) || !strings.Contains(text, `"version":1`) {
		t.Error(text)
	}
}

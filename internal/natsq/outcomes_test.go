package natsq

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

// The bucket of outcomes is there only once it was asked for. A record is replaced by
// its revision alone, and one that is removed leaves nothing behind.
func TestTheBucketOfOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.Outcomes(t.Context()); !errors.Is(err, ErrNoOutcomes) {
		t.Fatalf("before its setup it gives %v", err)
	}
	for _, want := range []string{"created", "unchanged"} {
		if change, err := w.SetupOutcomes(t.Context(), 1, 14*day, false); err != nil || change.Did != want {
			t.Fatalf("setup says %q, want %q: %v", change.Did, want, err)
		}
	}
	bucket, err := w.Outcomes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, done, err := bucket.Write(t.Context(), "job.lab.one.1", []byte("a"), 0)
	if err != nil || !done {
		t.Fatalf("the first write: %v, %v", done, err)
	}
	if _, done, err := bucket.Write(t.Context(), "job.lab.one.1", []byte("b"), 0); err != nil || done {
		t.Errorf("a second first write: %v, %v", done, err)
	}
	second, done, err := bucket.Write(t.Context(), "job.lab.one.1", []byte("c"), first)
	if err != nil || !done {
		t.Fatalf("the second write: %v, %v", done, err)
	}
	if value, ok, err := bucket.Get(t.Context(), "job.lab.one.1"); err != nil || !ok || string(value) != "c" {
		t.Errorf("it has %q, %v: %v", value, ok, err)
	}
	for range 2 {
		if err := bucket.Remove(t.Context(), second); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := w.js.Stream(t.Context(), "KV_CHARTPOST_OUTCOMES")
	if err != nil || stream.CachedInfo().State.Msgs != 0 {
		t.Errorf("%d messages are left: %v", stream.CachedInfo().State.Msgs, err)
	}
	if err := bucket.All(t.Context(), "", func(key string, _ []byte, _ uint64) { t.Errorf("%s is left", key) }); err != nil {
		t.Error(err)
	}
}

// Of two followers one works, and the other takes over when that one ends.
func TestOneFollowerWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.SetupOutcomes(t.Context(), 1, 14*day, false); err != nil {
		t.Fatal(err)
	}
	bucket, err := w.Outcomes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var working, most atomic.Int32
	began := make(chan int, 2)
	ends, ended := [2]context.CancelFunc{}, [2]chan error{}
	for i, name := range []string{"one", "two"} {
		ctx, cancel := context.WithCancel(t.Context())
		ends[i], ended[i] = cancel, make(chan error, 1)
		tenure := bucket.Tenure(name, 3*time.Second)
		go func() {
			ended[i] <- tenure.Hold(ctx, func(ctx context.Context) error {
				most.Store(max(most.Load(), working.Add(1)))
				began <- i
				<-ctx.Done()
				working.Add(-1)
				return nil
			})
		}()
	}
	first := <-began
	ends[first]()
	if err := <-ended[first]; err != nil {
		t.Error(err)
	}
	var second int
	devtest.Until(t, "the other works", limit, func() bool {
		select {
		case second = <-began:
			return true
		default:
			return false
		}
	})
	if second == first || most.Load() != 1 {
		t.Errorf("%d worked after %d, and %d at once", second, first, most.Load())
	}
	ends[second]()
	if err := <-ended[second]; err != nil {
		t.Error(err)
	}
}

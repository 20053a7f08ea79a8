package backfill

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is a bucket in memory: a real one cannot stand still.
type shelf struct {
	mu       sync.Mutex
	values   map[string][]byte
	revision uint64
	at       map[string]uint64
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}, at: map[string]uint64{}} }

func (s *shelf) Read(_ context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key], s.at[key], nil
}

func (s *shelf) Write(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[key] != revision {
		return 0, ErrChanged
	}
	s.revision++
	s.values[key], s.at[key] = value, s.revision
	return s.revision, nil
}

func nobody(string, time.Duration) {}

func beat(*Checkpoint) {}

// TestSilentFeeder: a feeder that was silent for too long, because it was frozen or
// its server away, publishes nothing until it has written its record again; and if
// another has taken the run meanwhile, nothing at all.
func TestSilentFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, ctx := newShelf(), t.Context()
		first, err := takeLease(ctx, bucket, "r", "first", 15*time.Second, nobody)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if err := first.proceed(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		went := make(chan error, 1)
		go func() { went <- first.proceed(ctx) }()
		synctest.Wait()
		if len(went) > 0 {
			t.Fatal("it went on without a word")
		}
		if err := first.write(ctx, beat); err != nil {
			t.Fatal(err)
		}
		if err := <-went; err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		second, err := takeLease(ctx, bucket, "r", "second", time.Second, nobody)
		if err != nil || time.Since(began) != 15*time.Second {
			t.Fatalf("%v after %s: the first one's patience counts", err, time.Since(began))
		}
		go func() { went <- first.proceed(ctx) }()
		synctest.Wait()
		if err := first.write(ctx, beat); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		if err := <-went; !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		if err := second.proceed(ctx); err != nil {
			t.Fatal(err)
		}
		if err := second.announce(ctx, 7); err != nil || second.record.Ahead < 7 {
			t.Fatalf("%v, %+v", err, second.record)
		}
		at, err := LoadCheckpoint(ctx, bucket, "r")
		if err != nil || at.Feeder != "second" || at.Ahead < 7 {
			t.Errorf("%+v, %v", at, err)
		}
	})
}

// TestLeaseIsAlive: a feeder that writes keeps its run.
func TestLeaseIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, ctx := newShelf(), t.Context()
		first, err := takeLease(ctx, bucket, "r", "first", 15*time.Second, nobody)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(14*time.Second, func() {
			if err := first.write(ctx, beat); err != nil {
				t.Error(err)
			}
		})
		if _, err := takeLease(ctx, bucket, "r", "second", 15*time.Second, nobody); !errors.Is(err, ErrFed) {
			t.Errorf("%v", err)
		}
		if err := first.write(ctx, func(c *Checkpoint) { c.Feeder = "" }); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := takeLease(ctx, bucket, "r", "second", 15*time.Second, nobody); err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %s: nobody has it", err, time.Since(began))
		}
	})
}

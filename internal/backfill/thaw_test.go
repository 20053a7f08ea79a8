package backfill

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// handed is a feeder between its beginning and its end, of which the test has the
// book and the lease in hand.
func (w *small) handed(ctx context.Context, name string, bucket Bucket) *Feeder {
	w.t.Helper()
	f := w.feeder(name)
	f.Bucket = bucket
	f.state.Store(Running)
	var err error
	if f.lease, err = takeLease(ctx, bucket, "r", name, 15*time.Second, nobody); err != nil {
		w.t.Fatal(err)
	}
	if f.book, err = OpenBook(ctx, bucket, w.run); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// TestThawedFeeder: a feeder that was frozen, and whose run another has by now, does
// not touch the book, and the other one goes on.
func TestThawedFeeder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := newSmall(t, "x", "x"), t.Context()
		first := w.handed(ctx, "first", w.bucket)
		first.book.mark(1, Fed)
		if err := first.save(ctx); err != nil {
			t.Fatal(err)
		}
		second := w.handed(ctx, "second", w.bucket) // waits for the end of the lease
		first.book.mark(1, LineAccepted)
		_, before, _ := w.bucket.Read(ctx, first.book.key(0))
		for what, err := range map[string]error{"save": first.save(ctx), "leave": first.leave(ctx, false)} {
			if !errors.Is(err, ErrLost) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, after, _ := w.bucket.Read(ctx, first.book.key(0)); after != before {
			t.Error("it wrote the book")
		}
		second.book.mark(2, Fed)
		if err := second.save(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestThawedAtTheWrite: not even a feeder that was frozen right before it wrote the
// book ends the one that has the run, which knows more.
func TestThawedAtTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := newSmall(t, "x", "x"), t.Context()
		first := w.handed(ctx, "first", frozen{w.bucket})
		first.book.mark(1, Fed)
		thawed := make(chan error, 1)
		go func() { thawed <- first.save(ctx) }()
		synctest.Wait()
		second := w.handed(ctx, "second", w.bucket)
		second.book.tell(7, new(eventOf(1, schemas.StatusAccepted)))
		if err := <-thawed; !errors.Is(err, ErrLost) {
			t.Errorf("the first: %v", err)
		}
		if err := second.save(ctx); err != nil {
			t.Fatalf("the second: %v", err)
		}
		if err := second.leave(ctx, false); err != nil {
			t.Errorf("the second: %v", err)
		}
		b, err := OpenBook(ctx, w.bucket, w.run)
		if err != nil || b.Line(1) != LineAccepted {
			t.Errorf("the book says %d: %v", b.Line(1), err)
		}
	})
}

// frozen is a bucket whose writer is stopped before it writes a book.
type frozen struct{ *shelf }

func (f frozen) Write(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if key != feederKey("r") {
		time.Sleep(time.Minute)
	}
	return f.shelf.Write(ctx, key, value, revision)
}

package backfill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/chartpost/chartpost/schemas"
)

// ordered is a bucket that notes which keys are written, in order, and may refuse the
// book's.
type ordered struct {
	Bucket
	written []string
	refuses error
	// during is called, unless nil, while the book is written.
	during func()
}

func (o *ordered) Write(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if strings.Contains(key, ".book.") {
		if o.during != nil {
			o.during()
		}
		if o.refuses != nil {
			return 0, o.refuses
		}
	}
	o.written = append(o.written, key)
	return o.Bucket.Write(ctx, key, value, revision)
}

// TestTheCheckpointFollowsTheBook: what the checkpoint says is in the book must be in
// it, or the next feeder would never read the events that are missing.
func TestTheCheckpointFollowsTheBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := newSmall(t, "x", "x"), t.Context()
		bucket := &ordered{Bucket: w.bucket}
		f := w.handed(ctx, "first", bucket)
		f.book.mark(1, Fed)
		f.book.mark(2, Fed)
		f.book.tell(7, new(eventOf(1, schemas.StatusAccepted)))
		bucket.written = nil
		// An event that comes while the book is written is not in what is written.
		bucket.during = func() { f.book.tell(9, new(eventOf(2, schemas.StatusAccepted))) }
		if err := f.save(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{f.book.key(0), feederKey("r")}; !slices.Equal(bucket.written, want) {
			t.Errorf("written %v, want %v", bucket.written, want)
		}
		if at, err := LoadCheckpoint(ctx, w.bucket, "r"); err != nil || at.Events != 7 {
			t.Errorf("events up to %d, %v; want 7", at.Events, err)
		}

		bucket.during, bucket.refuses = nil, errors.New("not now")
		if err := f.save(ctx); !errors.Is(err, bucket.refuses) {
			t.Errorf("%v", err)
		}
		if at, err := LoadCheckpoint(ctx, w.bucket, "r"); err != nil || at.Events != 7 {
			t.Errorf("the book was not written, and its events are up to %d, %v", at.Events, err)
		}
		bucket.refuses = nil
		if err := f.save(ctx); err != nil {
			t.Fatal(err)
		}
		book, err := OpenBook(ctx, w.bucket, w.run)
		at, atErr := LoadCheckpoint(ctx, w.bucket, "r")
		if err != nil || atErr != nil || at.Events != 9 || book.Line(1) != LineAccepted || book.Line(2) != LineAccepted {
			t.Errorf("events up to %d; lines %v %v; %v %v", at.Events, book.Line(1), book.Line(2), err, atErr)
		}
	})
}

package planning

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

func objects(all ...Object) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// TestListing finds each object and no other, whatever fits in memory.
func TestListing(t *testing.T) {
	for _, c := range []struct{ count, held int }{{0, 1}, {1, 1}, {63, 7}, {64, 64}, {65, 10}, {5000, 512}, {5000, 0}} {
		var all []Object
		for i := range c.count {
			all = append(all, Object{"archive", fmt.Sprint("k", i), int64(i) * 7})
		}
		l, err := NewListing(objects(all...), t.TempDir(), []byte("salt"), c.held)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range all {
			size, err := l.Size(t.Context(), schemas.File{Bucket: o.Bucket, Key: o.Key})
			if err != nil || size != o.Size {
				t.Fatalf("%v: %d, %v", o, size, err)
			}
			if got := l.Count(); got != (Listed{int64(c.count), int64(c.count - i - 1)}) {
				t.Fatalf("%+v after %d", got, i+1)
			}
		}
		for _, other := range []schemas.File{{Bucket: "archive", Key: "k"}, {Bucket: "other", Key: "k0"}, {Bucket: "archive/k", Key: "0"}, {Bucket: "archive", Key: "k-1"}} {
			_, err := l.Size(t.Context(), other)
			if f, ok := errors.AsType[*fault.Fault](err); !ok || f.Code != "file_not_listed" {
				t.Errorf("%v: %v", other, err)
			}
		}
		l.Close()
	}
}

func TestListedTwice(t *testing.T) {
	for _, held := range []int{1, 100} {
		if _, err := NewListing(objects(Object{"a", "k", 1}, Object{"a", "l", 1}, Object{"a", "k", 2}), t.TempDir(), nil, held); !errors.Is(err, ErrListedTwice) {
			t.Error(err)
		}
		if l, err := NewListing(objects(Object{"a", "k", 1}, Object{"a", "k", 1}), t.TempDir(), nil, held); err != nil {
			t.Error(err)
		} else if got := l.Count(); got.Objects != 1 {
			t.Errorf("%+v", got)
		}
	}
	broken := errors.New("broken")
	if _, err := NewListing(func(yield func(Object, error) bool) { yield(Object{}, broken) }, t.TempDir(), nil, 1); !errors.Is(err, broken) {
		t.Error(err)
	}
}

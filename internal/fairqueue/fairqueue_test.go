package fairqueue

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestEachKeyHasItsTurn(t *testing.T) {
	q := New[int](Limits{Places: 4, Waiting: 400, Bytes: 1 << 20})
	for i := range 100 {
		if _, ok := q.Push("flood", i, 1); !ok {
			t.Fatalf("%d found no room", i)
		}
	}
	if _, ok := q.Push("flood", 100, 1); ok {
		t.Error("one key has more than a quarter of what waits")
	}
	take := func() string { key, _, _ := q.Next(); return key }
	if got := []string{take(), take(), take()}; got[0] != "flood" || got[1] != "flood" || got[2] != "" {
		t.Errorf("%q: one key has half of the places", got)
	}
	if _, ok := q.Push("other", 1, 1); !ok || take() != "other" {
		t.Error("another key waits behind a flood")
	}
	q.Done("flood")
	if key, value, ok := q.Next(); key != "flood" || value != 2 || !ok {
		t.Errorf("%q %d %v: items of a key keep their order", key, value, ok)
	}
}

func TestTheLongestGivesWay(t *testing.T) {
	q := New[string](Limits{Places: 1, Waiting: 8, Bytes: 1 << 20})
	for _, key := range []string{"a", "b", "c", "d"} {
		for i := range 2 {
			if _, ok := q.Push(key, fmt.Sprint(key, i), 1); !ok {
				t.Fatalf("%s%d found no room", key, i)
			}
		}
	}
	evicted, ok := q.Push("e", "e0", 1)
	if !ok || len(evicted) != 1 || evicted[0][1] != '1' {
		t.Errorf("%v, %v: the newest of those that have most gives way", evicted, ok)
	}
	if evicted, ok := q.Push("e", "e1", 1); ok {
		t.Errorf("the second of a key drove out %s of one that has as many", evicted)
	}
}

func TestBytesAreBounded(t *testing.T) {
	q := New[int](Limits{Places: 1, Waiting: 100, Bytes: 100})
	if _, ok := q.Push("a", 1, 26); ok {
		t.Error("one item is more than a quarter of the bytes")
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		if _, ok := q.Push(key, 1, 25); !ok {
			t.Errorf("%s found no room", key)
		}
	}
	if _, ok := q.Push("e", 1, 25); ok {
		t.Error("more than the bytes wait")
	}
}

// TestNothingIsLostOrForgotten plays items of a few keys, and counts.
func TestNothingIsLostOrForgotten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q := New[int](Limits{Places: 3, Waiting: 20, Bytes: 60})
	pushed, gone, taken := 0, 0, 0
	var inHand []string
	for range 20_000 {
		switch key := string(rune('a' + random.IntN(9))); random.IntN(3) {
		case 0:
			evicted, ok := q.Push(key, 0, random.IntN(10))
			if ok {
				pushed++
			}
			gone += len(evicted)
		case 1:
			if key, _, ok := q.Next(); ok {
				taken++
				inHand = append(inHand, key)
			}
		default:
			if len(inHand) > 0 {
				q.Done(inHand[0])
				inHand = inHand[1:]
			}
		}
		if q.total.items > 20 || q.total.bytes > 60 || q.inHand != len(inHand) || q.inHand > 3 || q.total.items != pushed-gone-taken {
			t.Fatalf("%+v, %d in hand; %d pushed, %d evicted, %d taken", q.total, q.inHand, pushed, gone, taken)
		}
	}
	for len(inHand) > 0 || q.total.items > 0 {
		if key, _, ok := q.Next(); ok {
			inHand = append(inHand, key)
			continue
		}
		q.Done(inHand[0])
		inHand = inHand[1:]
	}
	if len(q.keys) != 0 || len(q.turns) != 0 || gone == 0 {
		t.Errorf("%d keys and %d turns are left; %d were evicted", len(q.keys), len(q.turns), gone)
	}
}

func TestEmpty(t *testing.T) {
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	q := New[int](Limits{Places: 2, Waiting: 8, Bytes: 8})
	if !closed(q.Empty()) {
		t.Error("a new queue is not empty")
	}
	q.Push("a", 1, 1)
	empty := q.Empty()
	key, _, _ := q.Next()
	q.Push("b", 1, 1)
	q.Done(key)
	if closed(empty) {
		t.Error("it is empty while an item waits")
	}
	key, _, _ = q.Next()
	if closed(empty) {
		t.Error("it is empty while an item is in hand")
	}
	q.Done(key)
	if !closed(empty) || !closed(q.Empty()) {
		t.Error("it does not say that it is empty")
	}
}

// Package fairqueue holds requests that wait for a place, and gives each key its turn: one
// that sends more than is taken delays itself and no other.
package fairqueue

import "sync"

// Limits bound a queue.
type Limits struct {
	// Places is how many items are in hand at once. One key has at most half of them.
	Places int
	// Waiting and Bytes are how much waits. One key has at most a quarter of either.
	Waiting int
	Bytes   int
}

// A Queue is safe for use by several goroutines.
type Queue[T any] struct {
	limits Limits

	mu     sync.Mutex
	keys   map[string]*line[T]
	turns  []*line[T] // the keys with something that waits, the next one first
	total  load
	inHand int
	empty  chan struct{} // of Empty; nil while none waits for it
}

// load is how much waits.
type load struct{ items, bytes int }

// line is what one key has.
type line[T any] struct {
	key     string
	waiting []item[T]
	load    load
	inHand  int
}

type item[T any] struct {
	value T
	bytes int
}

// New makes an empty queue.
func New[T any](limits Limits) *Queue[T] {
	return &Queue[T]{limits: limits, keys: map[string]*line[T]{}}
}

// Push adds an item of some bytes behind those of its key, and reports whether there is
// room for it. Where all keys together have too much, the key that has most gives way: Push
// returns the newest of its items as evicted.
func (q *Queue[T]) Push(key string, value T, bytes int) (evicted []T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.keys[key]
	if l == nil {
		l = &line[T]{key: key}
	}
	if l.load.exceeds(q.limits.Waiting/4, q.limits.Bytes/4, bytes) {
		return nil, false
	}
	for q.total.exceeds(q.limits.Waiting, q.limits.Bytes, bytes) {
		largest := q.largest()
		if largest == nil || largest.load.share(q.limits) <= l.load.plus(1, bytes).share(q.limits) {
			return evicted, false
		}
		evicted = append(evicted, q.dropNewest(largest))
	}
	if len(l.waiting) == 0 {
		q.turns = append(q.turns, l)
	}
	q.keys[key] = l
	l.waiting = append(l.waiting, item[T]{value, bytes})
	l.load = l.load.plus(1, bytes)
	q.total = q.total.plus(1, bytes)
	return evicted, true
}

// Next gives the next item that may be worked on, and its key; Done gives its place back.
// It is false where none waits or no place is free.
func (q *Queue[T]) Next() (key string, value T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inHand >= q.limits.Places {
		return "", value, false
	}
	for i, l := range q.turns {
		if l.inHand >= max(1, q.limits.Places/2) {
			continue
		}
		first := l.waiting[0]
		l.waiting[0] = item[T]{}
		l.waiting = l.waiting[1:]
		l.load = l.load.plus(-1, -first.bytes)
		q.total = q.total.plus(-1, -first.bytes)
		l.inHand++
		q.inHand++
		q.turns = append(q.turns[:i], q.turns[i+1:]...)
		if len(l.waiting) > 0 {
			q.turns = append(q.turns, l)
		}
		return l.key, first.value, true
	}
	return "", value, false
}

// Done gives back the place of an item that Next gave.
func (q *Queue[T]) Done(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.keys[key]
	l.inHand--
	q.inHand--
	q.forget(l)
	q.tellEmpty()
}

// Empty returns a channel that is closed once nothing waits and no place is taken. Items
// may still be pushed meanwhile.
func (q *Queue[T]) Empty() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.tellEmpty()
	return empty
}

func (q *Queue[T]) tellEmpty() {
	if q.empty != nil && len(q.keys) == 0 {
		close(q.empty)
		q.empty = nil
	}
}

// largest is the key that has most of what waits; nil where none waits.
func (q *Queue[T]) largest() (most *line[T]) {
	for _, l := range q.turns {
		if most == nil || l.load.share(q.limits) > most.load.share(q.limits) {
			most = l
		}
	}
	return most
}

// dropNewest removes the newest item of a key that has one.
func (q *Queue[T]) dropNewest(l *line[T]) T {
	last := len(l.waiting) - 1
	dropped := l.waiting[last]
	l.waiting[last] = item[T]{}
	l.waiting = l.waiting[:last]
	l.load = l.load.plus(-1, -dropped.bytes)
	q.total = q.total.plus(-1, -dropped.bytes)
	if last == 0 {
		for i, one := range q.turns {
			if one == l {
				q.turns = append(q.turns[:i], q.turns[i+1:]...)
				break
			}
		}
		q.forget(l)
	}
	return dropped.value
}

// forget removes a key that has nothing.
func (q *Queue[T]) forget(l *line[T]) {
	if l.inHand == 0 && len(l.waiting) == 0 {
		delete(q.keys, l.key)
	}
}

func (l load) plus(items, bytes int) load { return load{l.items + items, l.bytes + bytes} }

// exceeds reports whether one more item of some bytes would be too much.
func (l load) exceeds(items, bytes, more int) bool { return l.items+1 > items || l.bytes+more > bytes }

// share is how much of the limits a load has, by items or bytes, whichever is more.
func (l load) share(limits Limits) float64 {
	return max(float64(l.items)/float64(limits.Waiting), float64(l.bytes)/float64(limits.Bytes))
}

package budget

import (
	"slices"
	"time"
)

// waiters is where permits are asked for in this process: the lines of those who
// wait, and the allowance they are paid from. Budget guards it.
type waiters struct {
	allowance allowance
	lines     [2][]*waiter
	// want is what the dispatcher could spend beside those who wait.
	want [2]int
	// frozen is until when nothing is spent: Redox refused a request.
	frozen time.Time
	// news is what Redox said that the record does not know; pressing when the
	// others must know at once.
	news     Answer
	pressing bool
	// heard counts the news.
	heard int
	// estimate is the record's at the last exchange.
	estimate estimate
	closed   bool
}

// waiter is one Take.
type waiter struct {
	class  Class
	n      int
	served chan struct{}
	err    error
}

func (d *waiters) wait(class Class, n int) *waiter {
	w := &waiter{class: class, n: n, served: make(chan struct{})}
	d.lines[class] = append(d.lines[class], w)
	return w
}

// leave takes a waiter out of its line; false when it was served already.
func (d *waiters) leave(w *waiter) bool {
	at := slices.Index(d.lines[w.class], w)
	if at < 0 {
		return false
	}
	d.lines[w.class] = slices.Delete(d.lines[w.class], at, at+1)
	return true
}

// waiting is how many requests of a class are waited for.
func (d *waiters) waiting(class Class) int {
	n := 0
	for _, w := range d.lines[class] {
		n += w.n
	}
	return n
}

// held is what may be spent now.
func (d *waiters) held(now time.Time) (all, backfill int) {
	if now.Before(d.frozen) {
		return 0, 0
	}
	return d.allowance.held(now)
}

// available is what is left for somebody who does not wait yet.
func (d *waiters) available(class Class, now time.Time) int {
	all, backfill := d.held(now)
	switch {
	case class == Live:
		return max(all-d.waiting(Live), 0)
	case len(d.lines[Live]) > 0:
		return 0
	}
	return max(backfill-d.waiting(Backfill), 0)
}

// serve gives to those who wait: to live first, and to backfill only when no
// live request waits.
func (d *waiters) serve(now time.Time) {
	for _, class := range []Class{Live, Backfill} {
		for len(d.lines[class]) > 0 {
			w := d.lines[class][0]
			all, backfill := d.held(now)
			if class == Live && w.n > all || class == Backfill && w.n > backfill {
				return
			}
			d.lines[class] = d.lines[class][1:]
			d.allowance.taken[class] += w.n
			close(w.served)
		}
	}
}

// close turns everybody away.
func (d *waiters) close() {
	d.closed = true
	for class := range d.lines {
		for _, w := range d.lines[class] {
			w.err = ErrClosed
			close(w.served)
		}
		d.lines[class] = nil
	}
}

// hear takes in what an answer said, and tells whether it is news.
func (d *waiters) hear(a Answer, now time.Time, rules rules) bool {
	if a.Limit > 0 && (a.Limit != d.estimate.Header || d.estimate.Rise > 0) {
		d.heard++
		if d.news.Limit == 0 || a.Limit < d.news.Limit {
			d.news.Limit = a.Limit
		}
		d.pressing = d.pressing || a.Limit < d.estimate.limit(rules)
	}
	if a.Refused {
		d.heard++
		d.news.Refused, d.pressing = true, true
		d.news.RetryAfter = min(max(d.news.RetryAfter, a.RetryAfter), rules.longestHold())
		if until := now.Add(max(rules.holdBase(), d.news.RetryAfter)); until.After(d.frozen) {
			d.frozen = until
		}
	}
	return d.pressing
}

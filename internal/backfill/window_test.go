package backfill_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// door is a window that the test opens and shuts.
type door struct{ open atomic.Bool }

func (d *door) Open(time.Time) bool            { return d.open.Load() }
func (d *door) Next(after time.Time) time.Time { return after.Add(time.Hour) }

// TestSendWindow: nothing is published while the window is shut, also at the start; what is
// published already goes on.
func TestSendWindow(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(30, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Limits.PerLane = 10
	d := &door{}
	f.Window = d
	said := make(chan string, 10)
	f.Say = func(text string) { said <- text }
	g := w.start(f, true)
	if got := <-said; !strings.HasPrefix(got, "nothing is published until the send window opens, at 20") {
		t.Error(got)
	}
	if n := w.queued("x"); n != 0 {
		t.Errorf("%d jobs are published before the window opens", n)
	}
	d.open.Store(true)
	if got := <-said; got != "the send window is open" {
		t.Error(got)
	}
	w.until("10 jobs are queued", func() bool { return w.queued("x") == 10 })
	d.open.Store(false)
	<-said
	h.drain("x", accepted)
	w.until("the book has them", func() bool { return g.book.Tally(f.Current()).Ended() == 10 })
	if n := w.queued("x"); n != 0 {
		t.Errorf("%d jobs are published after the window was shut", n)
	}
	d.open.Store(true)
	w.until("all jobs have ended", func() bool { h.drain("x", accepted); return g.book.Tally(f.Current()).Ended() == 30 })
	if err := g.end(); err != nil {
		t.Error(err)
	}
	h.once("r", l)
}

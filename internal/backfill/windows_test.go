package backfill_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/backfill"
)

func windows(t *testing.T, zone string, texts ...string) backfill.Windows {
	t.Helper()
	w, err := backfill.ParseWindows(texts, zone)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWindows: nights and weekends by the clock of New York, over midnight, the end of a week
// and the change of the clock. 2026-11-30 is a Monday.
func TestWindows(t *testing.T) {
	w := windows(t, "America/New_York", "Mon-Fri 19:00-07:00", "Sat-Sun 00:00-24:00")
	for at, open := range map[string]bool{
		"2026-11-30T06:59:00-05:00": false, // Sunday has no night, its window ends at 24:00
		"2026-11-30T18:59:59-05:00": false,
		"2026-11-30T19:00:00-05:00": true,
		"2026-12-01T00:00:00Z":      true, // 19:00 in New York
		"2026-12-01T06:59:59-05:00": true,
		"2026-12-01T07:00:00-05:00": false,
		"2026-12-05T06:00:00-05:00": true, // Saturday, by Friday's night and its own window
		"2026-12-06T23:59:00-05:00": true,
		"2026-03-09T18:30:00-04:00": false, // the day after summer time began
		"2026-03-09T19:30:00-04:00": true,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Open(when); got != open {
			t.Errorf("%s: %t", at, got)
		}
	}
	if !(backfill.Windows{}).Open(time.Now()) {
		t.Error("no window is always open")
	}
	noon := time.Date(2026, 12, 1, 12, 0, 30, 0, time.UTC)
	if got, want := w.Opens(noon), time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("opens at %s, want %s", got, want)
	}
	if night := windows(t, "UTC", "fri-mon 22:00-24:00"); night.Open(noon) || !night.Open(time.Date(2026, 12, 6, 23, 59, 0, 0, time.UTC)) {
		t.Error("days over the end of the week")
	}
	for _, bad := range [][2]string{
		{"UTC", "nights"}, {"UTC", "Mon 9-17"}, {"UTC", "Mon 09:00"}, {"UTC", "Mon 09:00-09:00"}, {"UTC", "Foo 09:00-10:00"}, {"UTC", "Mon 25:00-26:00"},
		{"UTC", "Mon 24:00-07:00"}, {"UTC", "Mon 09:00-00:00"}, {"", "Mon 09:00-10:00"}, {"Local", "Mon 09:00-10:00"}, {"Mars", "Mon 09:00-10:00"},
	} {
		got, err := backfill.ParseWindows([]string{bad[1]}, bad[0])
		if zone := bad[0] != "UTC"; zone != errors.Is(err, backfill.ErrZone) {
			t.Errorf("%q: the fault is %v", bad, err)
		}
		if err == nil {
			t.Errorf("%q is taken as %v", bad, got)
		}
	}
}

// TestFedInWindow: nothing is published while no window is open, and all once one is.
func TestFedInWindow(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(300, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	f.Windows = windows(t, "UTC", "Mon 19:00-24:00")
	var now atomic.Pointer[time.Time]
	set := func(hour int) { at := time.Date(2026, 11, 30, hour, 0, 0, 0, time.UTC); now.Store(&at) }
	set(18)
	f.Windows = f.Windows.By(func() time.Time { return *now.Load() })
	var said atomic.Pointer[string]
	f.Say = func(text string) { said.Store(&text) }
	g := w.start(f, true)
	w.until("the record says when it goes on", func() bool {
		at, err := backfill.LoadCheckpoint(t.Context(), w.runs, "r")
		return err == nil && at.Opens.Equal(time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC))
	})
	if n := w.queued("x"); n != 0 || !strings.Contains(*said.Load(), "nothing is fed until 2026-11-30 19:00 UTC") {
		t.Errorf("%d jobs are published; %s", n, *said.Load())
	}
	set(20)
	w.until("all jobs have ended", func() bool { h.drain("x", accepted); return g.book.Tally(f.Current()).Ended() == 300 })
	if err := g.end(); err != nil {
		t.Error(err)
	}
	h.once("r", l)
}

// TestTakenOverWithoutHours: a feeder that takes a run outside of the hours of the last one,
// and has none itself, says that it feeds at any hour.
func TestTakenOverWithoutHours(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), many(10, "x")
	h := &hand{w: w, taken: map[string]int{}}
	f := w.feeder("r", l)
	monday := time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
	f.Windows = windows(t, "UTC", "Mon 19:00-24:00").By(func() time.Time { return monday })
	g := w.start(f, true)
	w.until("the record says when it goes on", func() bool {
		at, err := backfill.LoadCheckpoint(t.Context(), w.runs, "r")
		return err == nil && !at.Opens.IsZero()
	})
	g.stop()
	if err := g.end(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	next := w.feeder("r", l)
	var said atomic.Pointer[string]
	next.Say = func(text string) {
		if strings.Contains(text, "feeds at any hour") {
			said.Store(&text)
		}
	}
	g = w.start(next, true)
	w.until("all jobs have ended", func() bool { h.drain("x", accepted); return g.book.Tally(next.Current()).Ended() == 10 })
	if err := g.end(); err != nil {
		t.Error(err)
	}
	if text := said.Load(); text == nil || !strings.Contains(*text, "2026-11-30 19:00 UTC") {
		t.Error("it does not say so")
	}
}

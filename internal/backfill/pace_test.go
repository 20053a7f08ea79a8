package backfill

import (
	"testing"
	"time"
)

// TestPace: a pause counts for a minute and no longer, and nothing is divided by no
// time.
func TestPace(t *testing.T) {
	var p Pace
	began := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	if got := p.Add(began, 100); got != 0 {
		t.Errorf("at once: %g", got)
	}
	for _, c := range []struct {
		second int
		done   int64
		want   float64
	}{{10, 200, 10}, {20, 300, 10}, {80, 300, 0}, {140, 300, 0}, {150, 400, 100. / 70}, {200, 900, 10}} {
		if got := p.Add(began.Add(time.Duration(c.second)*time.Second), c.done); got != c.want {
			t.Errorf("after %d s: %g a second, want %g", c.second, got, c.want)
		}
	}
	for i := range 10_000 {
		p.Add(began.Add(time.Hour+time.Duration(i)*200*time.Millisecond), int64(1000+i))
	}
	if n := len(p.samples); n > 302 {
		t.Errorf("%d samples are kept", n)
	}
}

// TestLeft: what has no pace has no end in sight.
func TestLeft(t *testing.T) {
	tally := Tally{Lines: 1000, Unfed: 700, InFlight: 100}
	if got := tally.Left(10); got != 80*time.Second {
		t.Errorf("at 10 a second: %s", got)
	}
	if got := tally.Left(0) + (Tally{Lines: 9}).Left(10); got != 0 {
		t.Errorf("without a pace, and without a line: %s", got)
	}
}

package natsq

import (
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

func TestAsksAreBookedOnce(t *testing.T) {
	now := time.Now()
	b := newAsks()
	one, ok := b.add(&ask{lane: lane1, left: 2, heard: now, silence: time.Second})
	if !ok || one == 0 {
		t.Fatalf("%d, %v", one, ok)
	}
	if _, ok := b.add(&ask{lane: lane1, left: 1}); ok {
		t.Error("a lane has two asks")
	}
	two, ok := b.add(&ask{lane: lane2, left: 1, heard: now, silence: time.Hour})
	if !ok || two == one {
		t.Fatalf("%d, %v", two, ok)
	}
	if n, finished, stopped := b.arrived(lane1, now); n != one || finished || stopped {
		t.Errorf("first job: %d %v %v", n, finished, stopped)
	}
	if n, finished, _ := b.arrived(lane1, now); n != one || !finished {
		t.Errorf("second job: %d %v", n, finished)
	}
	if n, finished, _ := b.arrived(lane1, now); n != 0 || finished {
		t.Errorf("a job too many: %d %v", n, finished)
	}
	if _, ok, _ := b.end(one); ok {
		t.Error("an ask that is filled ended again")
	}
	if a, ok, _ := b.end(two); !ok || a.left != 1 || a.lane != lane2 {
		t.Errorf("%+v %v", a, ok)
	}
	if _, ok, _ := b.end(two); ok {
		t.Error("an ask ended twice")
	}
	if !b.stop() || b.stop() {
		t.Error("the first stop is not told from the second")
	}
	if _, ok := b.add(&ask{lane: lane1, left: 1}); ok {
		t.Error("asked after stop")
	}
	if _, _, stopped := b.arrived(lane1, now); !stopped {
		t.Error("a job after stop is not known to be so")
	}
}

func TestDeadAsks(t *testing.T) {
	now := time.Now()
	b := newAsks()
	lane := func(name string) schemas.Lane { return schemas.Lane{Class: schemas.Live, Destination: name} }
	silent, _ := b.add(&ask{lane: lane("silent"), left: 1, heard: now, silence: time.Second, life: 7})
	beating, _ := b.add(&ask{lane: lane("beating"), left: 1, heard: now, silence: time.Second, life: 7})
	filling, _ := b.add(&ask{lane: lane("filling"), left: 2, heard: now, silence: time.Second, life: 7})
	old, _ := b.add(&ask{lane: lane("old"), left: 1, heard: now.Add(time.Hour), silence: time.Hour, life: 6})
	later := now.Add(2 * time.Second)
	b.heard(beating, later)
	b.arrived(lane("filling"), later)
	b.heard(old+1, later) // no such ask
	dead := map[uint64]bool{}
	for _, n := range b.dead(later, 7) {
		dead[n] = true
	}
	if len(dead) != 2 || !dead[silent] || !dead[old] || dead[filling] {
		t.Errorf("dead: %v, want %d and %d", dead, silent, old)
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		wait    time.Duration
		long    bool
		silence time.Duration
	}{
		{100 * time.Millisecond, false, 1100 * time.Millisecond},
		{10 * time.Second, false, 11 * time.Second},
		{10*time.Second + 1, true, 11 * time.Second},
		{30 * time.Second, true, 11 * time.Second},
	} {
		if long, silence := defaultPace.long(c.wait), defaultPace.silence(c.wait); long != c.long || silence != c.silence {
			t.Errorf("%s: %v %s", c.wait, long, silence)
		}
	}
}

package lanes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chartpost/chartpost/schemas"
)

func liveLane(name string) schemas.Lane { return schemas.Lane{Class: schemas.Live, Destination: name} }

func backfillLane(name string) schemas.Lane {
	return schemas.Lane{Class: schemas.Backfill, Destination: name}
}

// see notes jobs of a lane whose destination has answered often enough.
func see(l *shares, name schemas.Lane, jobs uint64) {
	l.seen(Depth{Lane: name, Jobs: jobs, Served: true})
	one := l.get(name)
	one.flow.window = max(one.flow.window, l.concurrency)
}

// queue is a model of the queue: how many jobs each lane has.
type queue map[schemas.Lane]uint64

// serve answers short orders at once, as a queue with jobs does, and gives the
// jobs that were started.
func (q queue) serve(l *shares, orders []Ask) []schemas.Lane {
	var started []schemas.Lane
	for _, o := range orders {
		if o.Long {
			continue
		}
		n := min(uint64(o.Jobs), q[o.Lane])
		for range n {
			q[o.Lane]--
			if l.arrived(o.Lane, q[o.Lane]) {
				started = append(started, o.Lane)
			}
		}
		l.answered(o.Lane, o.Jobs-int(n))
	}
	return started
}

func TestLanesFillEverySlotAndNoMore(t *testing.T) {
	for _, c := range []struct{ slots, concurrency, lanes int }{{1, 1, 1}, {16, 8, 1}, {16, 8, 3}, {16, 1, 300}, {7, 3, 5}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			l, q := newShares(c.slots, c.concurrency), queue{}
			for i := range c.lanes {
				lane := liveLane(fmt.Sprint(i))
				q[lane] = 1000
				see(l, lane, 1000)
			}
			for range 3 { // the shares of a first round may leave slots over
				q.serve(l, l.asks())
			}
			want := min(c.slots, c.lanes*c.concurrency)
			if l.inHand != want {
				t.Errorf("%d jobs in hand, want %d", l.inHand, want)
			}
			for name, one := range l.all {
				if one.inHand > c.concurrency {
					t.Errorf("lane %s has %d in hand, %d are allowed", name, one.inHand, c.concurrency)
				}
			}
		})
	}
}

// TestLanesAreServedInTurn: a lane with a deep backlog gets no more than the
// lanes beside it.
func TestLanesAreServedInTurn(t *testing.T) {
	l, q := newShares(4, 4), queue{}
	for i := range 10 {
		lane := liveLane(fmt.Sprint(i))
		q[lane] = uint64(100 + 10000*i)
		see(l, lane, q[lane])
	}
	done := map[schemas.Lane]int{}
	for range 250 {
		for _, lane := range q.serve(l, l.asks()) {
			done[lane]++
		}
		for name, one := range l.all {
			for one.inHand > 0 {
				l.finished(&Slot{Lane: name}, Result{Health: Healthy})
			}
		}
	}
	least, most := 1<<30, 0
	for i := range 10 {
		n := done[liveLane(fmt.Sprint(i))]
		least, most = min(least, n), max(most, n)
	}
	if most-least > 4 {
		t.Errorf("between %d and %d jobs a lane; all had a backlog", least, most)
	}
}

// TestLanesPreferLiveWithoutStarvingBackfill counts the picks of two lanes that
// both never run dry.
func TestLanesPreferLiveWithoutStarvingBackfill(t *testing.T) {
	l, q := newShares(1, 1), queue{liveLane("a"): 1e6, backfillLane("a"): 1e6}
	for lane, n := range q {
		see(l, lane, n)
	}
	done := map[schemas.Class]int{}
	for range 1000 {
		for _, lane := range q.serve(l, l.asks()) {
			done[lane.Class]++
			l.finished(&Slot{Lane: lane}, Result{Health: Healthy})
		}
	}
	if done[schemas.Live] != 800 || done[schemas.Backfill] != 200 {
		t.Errorf("live %d, backfill %d; want 800 and 200", done[schemas.Live], done[schemas.Backfill])
	}
}

// TestLanesThatComeFirstAreListenedTo also where others wait for their turn.
func TestLanesThatComeFirstAreListenedTo(t *testing.T) {
	l := newShares(2, 2)
	l.scarce = true
	l.seen(Depth{Lane: liveLane("first"), Served: true, First: true})
	l.seen(Depth{Lane: liveLane("other"), Served: true})
	if asks := l.asks(); len(asks) != 1 || !asks[0].Long || asks[0].Lane != liveLane("first") {
		t.Errorf("%+v, want one long ask of the lane that comes first", asks)
	}
}

// TestIdleLanesAreListenedTo: with nothing to do, every lane has a long ask, and
// only one.
func TestIdleLanesAreListenedTo(t *testing.T) {
	l := newShares(2, 2)
	for i := range 5 {
		see(l, liveLane(fmt.Sprint(i)), 0)
	}
	orders := l.asks()
	if len(orders) != 5 {
		t.Fatalf("%d asks for 5 idle lanes", len(orders))
	}
	for _, o := range orders {
		if !o.Long || o.Jobs != 1 {
			t.Errorf("lane %s: %+v, want a long ask of one job", o.Lane.Destination, o)
		}
	}
	if again := l.asks(); len(again) != 0 {
		t.Errorf("asked again: %v", again)
	}
	if l.promised != 0 {
		t.Errorf("long asks keep %d slots, they must keep none", l.promised)
	}
}

// TestAJobWithoutASlotGoesBack: three long asks bring jobs, two slots take them.
func TestAJobWithoutASlotGoesBack(t *testing.T) {
	l := newShares(2, 2)
	names := []schemas.Lane{liveLane("a"), liveLane("b"), liveLane("c")}
	for _, name := range names {
		see(l, name, 0)
	}
	l.asks()
	taken := 0
	for _, name := range names {
		if l.arrived(name, 0) {
			taken++
		}
		l.answered(name, 0)
	}
	if taken != 2 {
		t.Fatalf("%d jobs taken into 2 slots", taken)
	}
	if got := l.asks(); len(got) != 0 {
		t.Errorf("asks without a free slot: %v", got)
	}
	l.finished(&Slot{Lane: names[0]}, Result{Health: Healthy})
	orders := l.asks()
	if len(orders) != 1 || orders[0].Lane != names[2] || orders[0].Long {
		t.Errorf("after a slot is free: %v, want a short ask of lane c, whose job went back", orders)
	}
}

// TestSlotsComeBack: whatever an ask brings, the books are even afterwards.
func TestSlotsComeBack(t *testing.T) {
	lane := liveLane("a")
	for _, c := range []struct {
		name     string
		brings   int
		unfilled int
		refused  bool
	}{{"all", 4, 0, false}, {"some", 1, 3, false}, {"none", 0, 4, false}, {"refused", 0, 4, true}, {"some, then refused", 2, 2, true}} {
		t.Run(c.name, func(t *testing.T) {
			l := newShares(4, 4)
			see(l, lane, 100)
			if orders := l.asks(); len(orders) != 1 || orders[0].Jobs != 4 {
				t.Fatalf("orders %v, want 4 jobs of one lane", orders)
			}
			for range c.brings {
				l.arrived(lane, 1)
			}
			if c.refused {
				l.refused(lane)
			} else {
				l.answered(lane, c.unfilled)
			}
			if l.promised != 0 || l.inHand != c.brings {
				t.Errorf("promised %d, in hand %d; want 0 and %d", l.promised, l.inHand, c.brings)
			}
			for range c.brings {
				l.finished(&Slot{Lane: lane}, Result{Health: Healthy})
			}
			if l.inHand != 0 {
				t.Errorf("%d in hand after all ended", l.inHand)
			}
		})
	}
}

// BenchmarkOrders takes and ends one job among many lanes that all have some.
func BenchmarkOrders(b *testing.B) {
	for _, n := range []int{1, 30, 300} {
		b.Run(fmt.Sprintf("%d lanes", n), func(b *testing.B) {
			l, q := newShares(16, 8), queue{}
			for i := range n {
				lane := liveLane(fmt.Sprint(i))
				q[lane] = 1 << 40
				see(l, lane, 1<<40)
			}
			var inHand []schemas.Lane
			for b.Loop() {
				inHand = append(inHand, q.serve(l, l.asks())...)
				l.finished(&Slot{Lane: inHand[0]}, Result{Health: Healthy})
				inHand = inHand[1:]
			}
		})
	}
}

// TestLanesThatComeFirst get three picks of four, in turn, so that neither they nor
// the others wait for ever; a lane that is new waits behind those that waited before.
func TestLanesThatComeFirst(t *testing.T) {
	l := newShares(1, 1)
	mark := func(name string, first bool) {
		l.seen(Depth{Lane: liveLane(name), Jobs: 9, Served: true, First: first})
	}
	for n := range 20 {
		mark(fmt.Sprint("other", n), false)
	}
	mark("a", true)
	mark("b", true)
	var picked []string
	for range 8 {
		one := l.pick(l.candidates())
		l.picks.turn++
		one.asked = l.picks.turn
		picked = append(picked, one.name.Destination)
	}
	want := []string{"a", "b", "a", "other0", "b", "a", "b", "other1"}
	if !slices.Equal(picked, want) {
		t.Errorf("picked %v, want %v", picked, want)
	}
	mark("new", false)
	mark("a", false)
	mark("b", false)
	for range 18 {
		one := l.pick(l.candidates())
		l.picks.turn++
		one.asked = l.picks.turn
		if one.name.Destination == "new" {
			t.Fatal("the new lane comes before those that waited already")
		}
	}
}

package worker

import (
	"fmt"
	"testing"

	"github.com/chartpost/chartpost/schemas"
)

func liveLane(name string) schemas.Lane { return schemas.Lane{Class: schemas.Live, Destination: name} }
func backfillLane(name string) schemas.Lane {
	return schemas.Lane{Class: schemas.Backfill, Destination: name}
}

// see notes jobs of a lane whose destination has answered often enough.
func see(l *lanes, name schemas.Lane, jobs uint64) {
	l.seen(name, jobs)
	one := l.get(name)
	one.flow.window = max(one.flow.window, l.concurrency)
}

// queue is a model of the queue: how many jobs each lane has.
type queue map[schemas.Lane]uint64

// serve answers short orders at once, as a queue with jobs does, and gives the
// jobs that were started.
func (q queue) serve(l *lanes, orders []order) []schemas.Lane {
	var started []schemas.Lane
	for _, o := range orders {
		if o.long {
			continue
		}
		n := min(uint64(o.n), q[o.lane])
		for range n {
			q[o.lane]--
			if l.arrived(o.lane, q[o.lane]) {
				started = append(started, o.lane)
			}
		}
		l.answered(o.lane, o.n-int(n))
	}
	return started
}

func TestLanesFillEverySlotAndNoMore(t *testing.T) {
	for _, c := range []struct{ slots, concurrency, lanes int }{{1, 1, 1}, {16, 8, 1}, {16, 8, 3}, {16, 1, 300}, {7, 3, 5}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			l, q := newLanes(c.slots, c.concurrency), queue{}
			for i := range c.lanes {
				lane := liveLane(fmt.Sprint(i))
				q[lane] = 1000
				see(l, lane, 1000)
			}
			for range 3 { // the shares of a first round may leave slots over
				q.serve(l, l.orders())
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
	l, q := newLanes(4, 4), queue{}
	for i := range 10 {
		lane := liveLane(fmt.Sprint(i))
		q[lane] = uint64(100 + 10000*i)
		see(l, lane, q[lane])
	}
	done := map[schemas.Lane]int{}
	for range 250 {
		for _, lane := range q.serve(l, l.orders()) {
			done[lane]++
		}
		for name, one := range l.all {
			for one.inHand > 0 {
				l.finished(&ticket{lane: name, ending: ending{verdict: well}})
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
	l, q := newLanes(1, 1), queue{liveLane("a"): 1e6, backfillLane("a"): 1e6}
	for lane, n := range q {
		see(l, lane, n)
	}
	done := map[schemas.Class]int{}
	for range 1000 {
		for _, lane := range q.serve(l, l.orders()) {
			done[lane.Class]++
			l.finished(&ticket{lane: lane, ending: ending{verdict: well}})
		}
	}
	if done[schemas.Live] != 800 || done[schemas.Backfill] != 200 {
		t.Errorf("live %d, backfill %d; want 800 and 200", done[schemas.Live], done[schemas.Backfill])
	}
}

// TestIdleLanesAreListenedTo: with nothing to do, every lane has a long ask, and
// only one.
func TestIdleLanesAreListenedTo(t *testing.T) {
	l := newLanes(2, 2)
	for i := range 5 {
		see(l, liveLane(fmt.Sprint(i)), 0)
	}
	orders := l.orders()
	if len(orders) != 5 {
		t.Fatalf("%d asks for 5 idle lanes", len(orders))
	}
	for _, o := range orders {
		if !o.long || o.n != 1 {
			t.Errorf("lane %s: %+v, want a long ask of one job", o.lane.Destination, o)
		}
	}
	if again := l.orders(); len(again) != 0 {
		t.Errorf("asked again: %v", again)
	}
	if l.promised != 0 {
		t.Errorf("long asks keep %d slots, they must keep none", l.promised)
	}
}

// TestAJobWithoutASlotGoesBack: three long asks bring jobs, two slots take them.
func TestAJobWithoutASlotGoesBack(t *testing.T) {
	l := newLanes(2, 2)
	names := []schemas.Lane{liveLane("a"), liveLane("b"), liveLane("c")}
	for _, name := range names {
		see(l, name, 0)
	}
	l.orders()
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
	if got := l.orders(); len(got) != 0 {
		t.Errorf("asks without a free slot: %v", got)
	}
	l.finished(&ticket{lane: names[0], ending: ending{verdict: well}})
	orders := l.orders()
	if len(orders) != 1 || orders[0].lane != names[2] || orders[0].long {
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
			l := newLanes(4, 4)
			see(l, lane, 100)
			if orders := l.orders(); len(orders) != 1 || orders[0].n != 4 {
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
				l.finished(&ticket{lane: lane, ending: ending{verdict: well}})
			}
			if l.inHand != 0 {
				t.Errorf("%d in hand after all ended", l.inHand)
			}
		})
	}
}

// TestARefusedLaneIsNotAskedInCircles: it waits until it is seen again.
func TestARefusedLaneIsNotAskedInCircles(t *testing.T) {
	l, lane := newLanes(4, 4), liveLane("a")
	see(l, lane, 0)
	l.orders()
	l.refused(lane)
	if orders := l.orders(); len(orders) != 0 {
		t.Errorf("asked at once again: %v", orders)
	}
	see(l, lane, 1)
	if orders := l.orders(); len(orders) != 1 {
		t.Errorf("not asked after it was seen: %v", orders)
	}
}

// TestARefusedLaneWithJobsInHandRests too: what it has in hand is no reason to
// ask again at once.
func TestARefusedLaneWithJobsInHandRests(t *testing.T) {
	l, lane := newLanes(4, 4), liveLane("a")
	see(l, lane, 10)
	l.orders()
	l.arrived(lane, 9)
	l.refused(lane)
	if orders := l.orders(); len(orders) != 0 {
		t.Errorf("asked at once again: %v", orders)
	}
	see(l, lane, 10)
	if orders := l.orders(); len(orders) != 1 || orders[0].n != 3 {
		t.Errorf("after it was seen: %v, want one ask for the three slots left", orders)
	}
	if l.inHand != 1 {
		t.Errorf("%d in hand", l.inHand)
	}
}

// TestBarrenLanesLeaveTheSlots: 300 lanes whose jobs cannot be had (others have
// them in hand, or they are paused) hold up one that has some no more than a
// little.
func TestBarrenLanesLeaveTheSlots(t *testing.T) {
	l, q := newLanes(16, 8), queue{}
	good := liveLane("good")
	q[good] = 1e6
	done := 0
	for range 100 { // listings; between two of them five rounds of short asks fit
		for i := range 300 {
			see(l, liveLane(fmt.Sprint("barren-", i)), 5)
		}
		see(l, good, q[good])
		for range 5 {
			started := q.serve(l, l.orders())
			done += len(started)
			for _, lane := range started {
				l.finished(&ticket{lane: lane, ending: ending{verdict: well}})
			}
		}
	}
	if done < 500 {
		t.Errorf("%d jobs of the good lane in 500 rounds, want at least one each", done)
	}
}

// TestABarrenLaneIsBelievedAgain: at once when it holds more, else within eight
// listings; and one that yields is never doubted.
func TestABarrenLaneIsBelievedAgain(t *testing.T) {
	l, lane := newLanes(4, 4), liveLane("a")
	listings := func(jobs uint64) (n int) {
		for !l.askable(l.get(lane)) {
			if n++; n > 20 {
				t.Fatal("never asked again")
			}
			see(l, lane, jobs)
		}
		return n
	}
	var waits []int
	for range 6 {
		waits = append(waits, listings(5))
		for _, o := range l.orders() {
			l.answered(o.lane, o.n)
		}
		l.answered(lane, 0) // the long ask that follows
	}
	if want := []int{1, 2, 3, 5, 9, 9}; fmt.Sprint(waits) != fmt.Sprint(want) {
		t.Errorf("asked after %v listings, want %v", waits, want)
	}
	if n := listings(6); n != 1 {
		t.Errorf("with more jobs it was asked after %d listings, want at once", n)
	}
	l.orders()
	l.arrived(lane, 0)
	l.answered(lane, 3)
	l.finished(&ticket{lane: lane, ending: ending{verdict: well}})
	if n := listings(6); n != 1 {
		t.Errorf("after it brought a job it was asked after %d listings, want at once", n)
	}
	l.orders()
	l.answered(lane, 4)
	l.answered(lane, 0)
	l.unseen(lane)
	if n := listings(1); n != 1 {
		t.Errorf("after it was empty it was asked after %d listings, want at once", n)
	}
}

// TestTheWindowFollowsTheAnswers: a lane nothing is known of gets little, grows
// with each answer up to its share, shrinks with each message that waits too
// long, and never below one.
func TestTheWindowFollowsTheAnswers(t *testing.T) {
	l, q, a := newLanes(16, 8), queue{liveLane("a"): 1000}, liveLane("a")
	l.seen(a, 1000)
	q.serve(l, l.orders())
	if l.inHand != firstWindow {
		t.Fatalf("%d in hand at first, want %d", l.inHand, firstWindow)
	}
	for i := range 20 {
		l.finished(&ticket{lane: a, ending: ending{verdict: well}})
		q.serve(l, l.orders())
		if want := min(firstWindow+i+1, 8); l.inHand != want {
			t.Fatalf("%d in hand after %d answers, want %d", l.inHand, i+1, want)
		}
	}
	parked := 0
	for range 8 {
		if !l.park(a) {
			t.Fatal("not parked")
		}
		parked++
		if l.inHand != 8-parked || l.get(a).inHand != 8 {
			t.Fatalf("%d slots in use, %d of the lane in hand", l.inHand, l.get(a).inHand)
		}
	}
	if w := l.get(a).flow.window; w != 1 || len(l.orders()) != 0 {
		t.Fatalf("window %d", w)
	}
	for range 8 {
		l.finished(&ticket{lane: a, parked: true})
	}
	if l.inHand != 0 || l.parked != 0 {
		t.Fatalf("%d slots in use, %d parked", l.inHand, l.parked)
	}
	q.serve(l, l.orders())
	if l.inHand != 1 {
		t.Errorf("%d in hand of a lane that is slow, want 1", l.inHand)
	}
}

// TestParkingEnds: a worker that waits for many answers holds on to its slots.
func TestParkingEnds(t *testing.T) {
	l, a := newLanes(2, 1000), liveLane("a")
	for range parkedPerSlot * 2 {
		l.get(a).flow.window = 1000
		if !l.arrived(a, 1) || !l.park(a) {
			t.Fatal("not parked")
		}
	}
	l.get(a).flow.window = 1000
	if !l.arrived(a, 1) || l.park(a) || l.inHand != 1 {
		t.Errorf("parked beyond the bound; %d slots in use", l.inHand)
	}
}

// TestAShutLane is not asked, and what still comes of it is not taken; one that
// is probed gives one job; one that is open again begins with one.
func TestAShutLane(t *testing.T) {
	l, a := newLanes(16, 8), liveLane("a")
	see(l, a, 100)
	l.steer(a, true, false, 0)
	if o := l.orders(); len(o) != 0 || l.arrived(a, 99) {
		t.Fatalf("asked for jobs of a shut lane: %v", o)
	}
	l.steer(a, false, true, 0)
	if o := l.orders(); len(o) != 1 || o[0].n != 1 || o[0].long {
		t.Fatalf("the probe is %v", o)
	}
	if !l.arrived(a, 99) || l.arrived(a, 98) {
		t.Fatal("want exactly one job for the probe")
	}
	l.answered(a, 0)
	l.steer(a, false, false, 0)
	l.reopened(a)
	l.finished(&ticket{lane: a, laneProbe: true, ending: ending{verdict: well}})
	if o := l.orders(); len(o) != 1 || o[0].n != 2 {
		t.Errorf("begins again with %v, want the one, and one more for the probe that went well", o)
	}
	l.steer(a, false, false, 1)
	if room := l.room(l.get(a)); room != 1 {
		t.Errorf("an operator's limit of 1 leaves room for %d", room)
	}
}

// TestAnEmptyLaneIsForgotten, and no long ask keeps its consumer alive.
func TestAnEmptyLaneIsForgotten(t *testing.T) {
	l, a := newLanes(4, 4), liveLane("a")
	see(l, a, 1)
	l.get(a).ready = false
	if o := l.orders(); len(o) != 1 || !o[0].long {
		t.Fatalf("%v", o)
	}
	for range mostEmpty + 1 {
		l.unseen(a)
	}
	l.answered(a, 1)
	if o := l.orders(); len(o) != 0 {
		t.Errorf("asks again: %v", o)
	}
	l.unseen(a)
	if len(l.all) != 0 {
		t.Error("not forgotten")
	}
}

// TestBackfillIsTakenAtThePaceOfItsBudget, also by asks that were open before.
func TestBackfillIsTakenAtThePaceOfItsBudget(t *testing.T) {
	l := newLanes(16, 8)
	for i := range 20 {
		l.get(backfillLane(fmt.Sprint(i)))
	}
	l.paced = 1
	if o := l.orders(); len(o) != 1 {
		t.Fatalf("%d long asks with room for one job", len(o))
	}
	l.paced = 0
	for i := range 20 {
		if l.arrived(backfillLane(fmt.Sprint(i)), 1) {
			t.Fatal("a backfill job took a slot without room in the budget")
		}
	}
	if n := l.backlog(); n == 0 {
		t.Error("nothing is wanted although jobs wait")
	}
	if !l.arrived(liveLane("a"), 1) {
		t.Error("a live job had to wait")
	}
}

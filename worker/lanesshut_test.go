package worker

import (
	"fmt"
	"testing"
)

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
	l.seen(Depth{Lane: a, Jobs: 1000, Served: true})
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
		if !l.park(a, true) {
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

// TestAWaitForTheBudgetIsNotTheDestinations: its lane keeps its window, and it is
// no message that has no answer.
func TestAWaitForTheBudgetIsNotTheDestinations(t *testing.T) {
	l, a := newLanes(4, 8), liveLane("a")
	l.get(a).flow.window = 8
	if !l.arrived(a, 1) || !l.park(a, false) {
		t.Fatal("not parked")
	}
	if w := l.get(a).flow.window; w != 8 || l.inHand != 0 || l.parked != 1 || l.queued != 1 {
		t.Errorf("window %d, %d slots in use, %d parked, %d of them queued", w, l.inHand, l.parked, l.queued)
	}
	l.finished(&ticket{lane: a, parked: true, queued: true})
	if l.parked != 0 || l.queued != 0 || l.inHand != 0 {
		t.Errorf("%d slots in use, %d parked, %d of them queued at the end", l.inHand, l.parked, l.queued)
	}
}

// TestParkingEnds: a worker that waits for many answers holds on to its slots.
func TestParkingEnds(t *testing.T) {
	l, a := newLanes(2, 1000), liveLane("a")
	for range parkedPerSlot * 2 {
		l.get(a).flow.window = 1000
		if !l.arrived(a, 1) || !l.park(a, true) {
			t.Fatal("not parked")
		}
	}
	l.get(a).flow.window = 1000
	if !l.arrived(a, 1) || l.park(a, true) || l.inHand != 1 {
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

// TestBackfillIsTakenAtThePaceOfItsBudget, also by asks that were open before.
func TestBackfillIsTakenAtThePaceOfItsBudget(t *testing.T) {
	l := newLanes(16, 8)
	for i := range 20 {
		l.seen(Depth{Lane: backfillLane(fmt.Sprint(i)), Served: true})
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

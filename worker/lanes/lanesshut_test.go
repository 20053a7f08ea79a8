package lanes

import (
	"fmt"
	"testing"
)

// TestARefusedLaneIsNotAskedInCircles: it waits until it is seen again.
func TestARefusedLaneIsNotAskedInCircles(t *testing.T) {
	l, lane := newShares(4, 4), liveLane("a")
	see(l, lane, 0)
	l.asks()
	l.refused(lane)
	if orders := l.asks(); len(orders) != 0 {
		t.Errorf("asked at once again: %v", orders)
	}
	see(l, lane, 1)
	if orders := l.asks(); len(orders) != 1 {
		t.Errorf("not asked after it was seen: %v", orders)
	}
}

// TestARefusedLaneWithJobsInHandRests too: what it has in hand is no reason to
// ask again at once.
func TestARefusedLaneWithJobsInHandRests(t *testing.T) {
	l, lane := newShares(4, 4), liveLane("a")
	see(l, lane, 10)
	l.asks()
	l.arrived(lane, 9)
	l.refused(lane)
	if orders := l.asks(); len(orders) != 0 {
		t.Errorf("asked at once again: %v", orders)
	}
	see(l, lane, 10)
	if orders := l.asks(); len(orders) != 1 || orders[0].Jobs != 3 {
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
	l, q := newShares(16, 8), queue{}
	good := liveLane("good")
	q[good] = 1e6
	done := 0
	for range 100 { // listings; between two of them five rounds of short asks fit
		for i := range 300 {
			see(l, liveLane(fmt.Sprint("barren-", i)), 5)
		}
		see(l, good, q[good])
		for range 5 {
			started := q.serve(l, l.asks())
			done += len(started)
			for _, lane := range started {
				l.finished(&Slot{Lane: lane}, Result{Health: Healthy})
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
	l, lane := newShares(4, 4), liveLane("a")
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
		for _, o := range l.asks() {
			l.answered(o.Lane, o.Jobs)
		}
		l.answered(lane, 0) // the long ask that follows
	}
	if want := []int{1, 2, 3, 5, 9, 9}; fmt.Sprint(waits) != fmt.Sprint(want) {
		t.Errorf("asked after %v listings, want %v", waits, want)
	}
	if n := listings(6); n != 1 {
		t.Errorf("with more jobs it was asked after %d listings, want at once", n)
	}
	l.asks()
	l.arrived(lane, 0)
	l.answered(lane, 3)
	l.finished(&Slot{Lane: lane}, Result{Health: Healthy})
	if n := listings(6); n != 1 {
		t.Errorf("after it brought a job it was asked after %d listings, want at once", n)
	}
	l.asks()
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
	l, q, a := newShares(16, 8), queue{liveLane("a"): 1000}, liveLane("a")
	l.seen(Depth{Lane: a, Jobs: 1000, Served: true})
	q.serve(l, l.asks())
	if l.inHand != firstWindow {
		t.Fatalf("%d in hand at first, want %d", l.inHand, firstWindow)
	}
	for i := range 20 {
		l.finished(&Slot{Lane: a}, Result{Health: Healthy})
		q.serve(l, l.asks())
		if want := min(firstWindow+i+1, 8); l.inHand != want {
			t.Fatalf("%d in hand after %d answers, want %d", l.inHand, i+1, want)
		}
	}
	var slots []*Slot
	for range 8 {
		slots = append(slots, &Slot{Lane: a})
		l.yield(slots[len(slots)-1], ForAnswer)
		if n := len(slots); l.inHand != 8-n || l.get(a).inHand != 8 {
			t.Fatalf("%d slots in use, %d of the lane in hand", l.inHand, l.get(a).inHand)
		}
		l.yield(slots[0], ForAnswer) // told again, which is no news
	}
	if w := l.get(a).flow.window; w != 1 || len(l.asks()) != 0 {
		t.Fatalf("window %d", w)
	}
	for _, s := range slots[:6] {
		l.finished(s, Result{})
	}
	if l.inHand != 0 || l.yielded.all != 2 {
		t.Fatalf("%d slots in use, %d yielded", l.inHand, l.yielded.all)
	}
	q.serve(l, l.asks())
	if l.inHand != 0 {
		t.Errorf("%d in hand of a lane that is slow, beside 2 that wait; want none", l.inHand)
	}
	// An answer after all: the destination is slow, and takes what it gets.
	for i, want := range []int{2, 4} {
		l.finished(slots[6+i], Result{Health: Healthy})
		if w := l.get(a).flow.window; w != want {
			t.Errorf("window %d after %d late answers, want %d", w, i+1, want)
		}
	}
}

// TestASlowLaneIsAsWideAsAnyOther: a destination that answers everything, and
// each message after more than two seconds, is given its lane's whole share.
func TestASlowLaneIsAsWideAsAnyOther(t *testing.T) {
	l, q, a := newShares(16, 8), queue{liveLane("a"): 64}, liveLane("a")
	l.seen(Depth{Lane: a, Jobs: 64, Served: true})
	rounds := 0
	for l.get(a).inHand > 0 || rounds == 0 || q[a] > 0 {
		if rounds++; rounds > 20 {
			t.Fatalf("%d jobs are left after %d rounds of answers", q[a], rounds)
		}
		q.serve(l, l.asks())
		n := l.get(a).inHand
		slots := make([]*Slot, n)
		for i := range slots {
			slots[i] = &Slot{Lane: a}
			l.yield(slots[i], ForAnswer)
		}
		for _, s := range slots {
			l.finished(s, Result{Health: Healthy})
		}
	}
	// 2, 4, 8, and then eight a round.
	if rounds > 11 {
		t.Errorf("64 jobs took %d rounds of answers, want 10 or 11", rounds)
	}
}

// TestALaneOpensLikeSlowStart: the jobs in hand double with each round of answers,
// and a lane whose jobs fail gets no more.
func TestALaneOpensLikeSlowStart(t *testing.T) {
	for _, c := range []struct {
		health Health
		want   []int
	}{{Healthy, []int{2, 4, 8, 16, 32, 32}}, {Failing, []int{2, 2, 2, 2}}, {Unknown, []int{2, 2, 2}}} {
		l, a := newShares(64, 32), liveLane("a")
		q := queue{a: 1000}
		l.seen(Depth{Lane: a, Jobs: 1000, Served: true})
		for round, want := range c.want {
			q.serve(l, l.asks())
			if l.inHand != want {
				t.Errorf("health %d: %d in hand in round %d, want %d", c.health, l.inHand, round, want)
			}
			for range l.inHand {
				l.finished(&Slot{Lane: a}, Result{Health: c.health})
			}
		}
	}
}

// TestAWaitForTheBudgetIsNotTheDestinations: its lane keeps its window, and it is
// no message that has no answer.
func TestAWaitForTheBudgetIsNotTheDestinations(t *testing.T) {
	l, a := newShares(4, 8), liveLane("a")
	l.get(a).flow.window = 8
	s := &Slot{Lane: a}
	if !l.arrived(a, 1) {
		t.Fatal("no slot")
	}
	l.yield(s, ForBudget)
	if w := l.get(a).flow.window; w != 8 || l.inHand != 0 || l.yielded.all != 1 || l.yielded.awaitingBudget != 1 {
		t.Errorf("window %d, %d slots in use, %d yielded, %d of them queued", w, l.inHand, l.yielded.all, l.yielded.awaitingBudget)
	}
	l.finished(s, Result{})
	if l.yielded.all != 0 || l.yielded.awaitingBudget != 0 || l.inHand != 0 {
		t.Errorf("%d slots in use, %d yielded, %d of them queued at the end", l.inHand, l.yielded.all, l.yielded.awaitingBudget)
	}
}

// TestYieldingEnds: a worker that waits for many answers holds on to its slots,
// and sooner to those of jobs whose bytes move, of one lane and of all.
func TestYieldingEnds(t *testing.T) {
	for _, c := range []struct {
		wait  Wait
		lanes int
		most  int
	}{{ForAnswer, 1, 4 * yieldedPerSlot}, {ForBudget, 1, 4 * yieldedPerSlot}, {ForBytes, 1, 2}, {ForBytes, 20, 4 * movingPerSlot}} {
		l := newShares(4, 1000)
		for i := range 100 {
			a := liveLane(fmt.Sprint(i % c.lanes))
			l.get(a).flow.window = 1000
			if !l.arrived(a, 1) {
				break
			}
			l.yield(&Slot{Lane: a}, c.wait)
		}
		if l.yielded.all != c.most || l.inHand != 4 {
			t.Errorf("wait %d, %d lanes: %d yielded, want %d; %d slots in use", c.wait, c.lanes, l.yielded.all, c.most, l.inHand)
		}
	}
}

// TestAShutLane is not asked, and what still comes of it is not taken; one that
// is probed gives one job; one that is open again begins with one.
func TestAShutLane(t *testing.T) {
	l, a := newShares(16, 8), liveLane("a")
	see(l, a, 100)
	l.sync(a, true, false, 0)
	if o := l.asks(); len(o) != 0 || l.arrived(a, 99) {
		t.Fatalf("asked for jobs of a shut lane: %v", o)
	}
	l.sync(a, false, true, 0)
	if o := l.asks(); len(o) != 1 || o[0].Jobs != 1 || o[0].Long {
		t.Fatalf("the probe is %v", o)
	}
	if !l.arrived(a, 99) || l.arrived(a, 98) {
		t.Fatal("want exactly one job for the probe")
	}
	l.answered(a, 0)
	l.sync(a, false, false, 0)
	l.reopened(a)
	l.finished(&Slot{Lane: a, laneProbe: true}, Result{Health: Healthy})
	if o := l.asks(); len(o) != 1 || o[0].Jobs != 2 {
		t.Errorf("begins again with %v, want the one, and one more for the probe that went well", o)
	}
	l.sync(a, false, false, 1)
	if room := l.room(l.get(a)); room != 1 {
		t.Errorf("an operator's limit of 1 leaves room for %d", room)
	}
}

// TestBackfillIsTakenAtThePaceOfItsBudget, also by asks that were open before.
func TestBackfillIsTakenAtThePaceOfItsBudget(t *testing.T) {
	l := newShares(16, 8)
	for i := range 20 {
		l.seen(Depth{Lane: backfillLane(fmt.Sprint(i)), Served: true})
	}
	l.paced = 1
	if o := l.asks(); len(o) != 1 {
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

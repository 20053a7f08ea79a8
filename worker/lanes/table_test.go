package lanes

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

func newTable() *Table {
	return New(Settings{Worker: "w", Slots: 2, Concurrency: 2, Backoff: backoff})
}

// TestALaneThatIsNotOffered is not asked, and is forgotten once nothing of it is in
// hand: what a worker knows of lanes does not grow with their number.
func TestALaneThatIsNotOffered(t *testing.T) {
	d := newTable()
	gone, other := liveLane("gone"), liveLane("other")
	d.Offered(Offer{Lanes: []Depth{{Lane: gone, Jobs: 2, Served: true}, {Lane: other, Jobs: 1}}}, noon)
	if o := d.Asks(); len(o) != 1 || o[0].Lane != gone {
		t.Fatalf("asks %+v, want the lane that is served", o)
	}
	slot := d.Arrived(gone, 1, noon)
	if slot == nil {
		t.Fatal("the job has no slot")
	}
	d.AskEnded(gone, 0, noon)
	d.Offered(Offer{}, noon)
	if one := d.shares.all[gone]; one == nil || one.inHand != 1 {
		t.Fatalf("a lane with a job in hand: %+v", one)
	}
	if d.shares.all[other] != nil {
		t.Error("a lane without anything in hand is not forgotten")
	}
	if o := d.Asks(); len(o) != 0 {
		t.Errorf("asks %+v of what is not offered", o)
	}
	d.Ended(slot, accepted, noon, 0)
	d.Offered(Offer{}, noon)
	if len(d.shares.all)+len(d.shares.list)+len(d.breakers.all) != 0 {
		t.Errorf("%d lanes and %d breakers are still known", len(d.shares.all), len(d.breakers.all))
	}
}

// TestNoLongAsksWhereLanesWait: they would keep the consumers that other lanes need.
func TestNoLongAsksWhereLanesWait(t *testing.T) {
	d := newTable()
	empty := Depth{Lane: liveLane("a"), Served: true}
	d.Offered(Offer{Lanes: []Depth{empty}, Scarce: true}, noon)
	if o := d.Asks(); len(o) != 0 {
		t.Errorf("asks %+v", o)
	}
	d.Offered(Offer{Lanes: []Depth{empty}}, noon)
	if o := d.Asks(); len(o) != 1 || !o[0].Long {
		t.Errorf("asks %+v, want a long ask", o)
	}
}

// TestALimitOfALaneWithoutJobs: nothing is asked of it, and nothing is kept of it
// beside its state.
func TestALimitOfALaneWithoutJobs(t *testing.T) {
	d, now := newTable(), noon
	d.Heard(State{Lane: liveLane("a"), Limit: 3, Revision: 1}, now)
	for range 240 {
		now = now.Add(500 * time.Millisecond)
		d.Offered(Offer{}, now)
		d.Tick(now)
		if asks, writes := d.Asks(), d.Writes(); len(asks)+len(writes) != 0 {
			t.Fatalf("asks %+v, writes %+v", asks, writes)
		}
	}
	if len(d.shares.all) != 0 {
		t.Error("a lane without jobs is kept")
	}
	d.Offered(Offer{Lanes: []Depth{{Lane: liveLane("a"), Jobs: 9, Served: true}}}, now)
	if d.shares.get(liveLane("a")).flow.limit != 3 {
		t.Error("the limit is forgotten")
	}
}

// broken is a table that has heard of a lane whose breaker's wait is over at noon.
func broken(prober string) *Table {
	d := newTable()
	d.Heard(State{Lane: liveLane("a"), Revision: 1, Breaker: &Breaker{Since: noon, Until: noon, Opened: 1, Prober: prober}}, noon)
	return d
}

// TestABreakerOfALaneWithoutJobsEnds by itself when its time is over; not while
// a job waits, may wait, or an operator keeps the lane shut.
func TestABreakerOfALaneWithoutJobsEnds(t *testing.T) {
	lane := liveLane("a")
	waits := Depth{Lane: lane, Jobs: 1}
	for _, c := range []struct {
		name  string
		table *Table
		offer Offer
		pause bool
		ends  bool
	}{
		{"nothing waits", broken(""), Offer{}, false, true},
		{"it is empty", broken(""), Offer{Lanes: []Depth{{Lane: lane}}}, false, true},
		{"a prober that vanished", broken("gone"), Offer{}, false, true},
		{"a job waits", broken(""), Offer{Lanes: []Depth{waits}}, false, false},
		{"lanes wait for their turn", broken(""), Offer{Scarce: true}, false, false},
		{"it is paused", broken(""), Offer{}, true, false},
	} {
		if c.pause {
			s := c.table.breakers.all[lane].state
			s.Pause, s.Revision = &Pause{Until: noon.Add(time.Hour)}, 2
			c.table.Heard(s, noon)
		}
		ended := time.Duration(0)
		for at := time.Duration(0); at < 5*time.Minute && ended == 0; at += 500 * time.Millisecond {
			now := noon.Add(at)
			c.table.Offered(c.offer, now)
			c.table.Tick(now)
			for _, s := range c.table.Writes() {
				if s.Breaker == nil {
					ended = at
				}
				s.Revision++
				c.table.Wrote(s, nil, now)
			}
		}
		if (ended != 0) != c.ends || c.ends && ended < 2*turnTime {
			t.Errorf("%s: ended after %s", c.name, ended)
		}
		c.table.Offered(Offer{}, noon.Add(time.Hour))
		if c.ends && len(c.table.breakers.all)+len(c.table.shares.all) != 0 {
			t.Errorf("%s: still known", c.name)
		}
	}
}

// TestAProbeWithoutAJobIsGivenUp: when the ask for it brings none, when none can be
// asked for any more, and at the end of the worker.
func TestAProbeWithoutAJobIsGivenUp(t *testing.T) {
	lane := liveLane("a")
	offer := Offer{Lanes: []Depth{{Lane: lane, Jobs: 1, Served: true}}}
	for name, giveUp := range map[string]func(*Table){
		"no job came":     func(d *Table) { d.Asks(); d.AskEnded(lane, 1, noon) },
		"it was refused":  func(d *Table) { d.Asks(); d.AskRefused(lane, noon) },
		"the lane is dry": func(d *Table) { d.Offered(Offer{Lanes: []Depth{{Lane: lane}}}, noon); d.Tick(noon) },
		"the lane is gone": func(d *Table) {
			d.Offered(Offer{}, noon)
			d.Tick(noon)
		},
		"the worker stops": func(d *Table) { d.Stop(noon) },
	} {
		d := broken("")
		d.Offered(offer, noon)
		d.Tick(noon)
		writes := d.Writes()
		if len(writes) != 1 || writes[0].Breaker.Prober != "w" {
			t.Fatalf("%s: claims %+v", name, writes)
		}
		s := writes[0]
		s.Revision++
		d.Wrote(s, nil, noon)
		giveUp(d)
		writes = d.Writes()
		if len(writes) != 1 || writes[0].Breaker == nil || writes[0].Breaker.Prober != "" || !writes[0].Breaker.Until.Equal(noon.Add(backoff.First)) {
			t.Errorf("%s: writes %+v, want the claim given up", name, writes)
		}
	}
}

// TestNoLaneHasMoreThanHalf of the slots while another waits, and one that is slow
// no more than its share.
func TestNoLaneHasMoreThanHalf(t *testing.T) {
	l := newShares(16, 64)
	q := queue{liveLane("a"): 1000, liveLane("b"): 1000, liveLane("c"): 1000, liveLane("d"): 1000}
	for lane := range q {
		see(l, lane, 1000)
	}
	a := l.get(liveLane("a"))
	a.flow.slow = true
	// Whatever ends, the lane that is slow never takes more than its share.
	for round := range 200 {
		for range 3 {
			q.serve(l, l.asks())
		}
		if l.inHand != 16 || a.inHand > 4 {
			t.Fatalf("round %d: %d in hand, of the slow lane %d", round, l.inHand, a.inHand)
		}
		for i, name := range []string{"b", "c", "d"} {
			one := l.get(liveLane(name))
			for range min(one.inHand, 1+(round+i)%3) {
				l.finished(&Slot{Lane: one.name}, accepted)
			}
		}
	}
	l = newShares(16, 64)
	b := liveLane("b")
	for _, lane := range []schemas.Lane{liveLane("a"), b} {
		see(l, lane, 1000)
		l.get(lane).flow.window = 64
	}
	asked := 0
	for _, ask := range l.asks() {
		if ask.Lane == b {
			asked += ask.Jobs
		}
	}
	if asked != 8 {
		t.Errorf("%d jobs of one lane of two, want half of 16 slots", asked)
	}
}

// TestTheLaneWithTheFewestSlotsComesFirst: jobs that take long leave others theirs.
func TestTheLaneWithTheFewestSlotsComesFirst(t *testing.T) {
	l := newShares(10, 10)
	q := queue{}
	for i := range 5 {
		lane := liveLane(fmt.Sprint(i))
		q[lane] = 10000
		see(l, lane, 10000)
	}
	done := map[schemas.Lane]int{}
	for round := range 1000 {
		for range 3 {
			q.serve(l, l.asks())
		}
		for name, one := range l.all {
			ends := one.inHand
			if name == liveLane("0") && round%10 != 9 {
				ends = 0 // its jobs take ten times as long
			}
			for range ends {
				done[name]++
				l.finished(&Slot{Lane: name}, accepted)
			}
		}
	}
	for name, n := range done {
		if name != liveLane("0") && n < 1900 {
			t.Errorf("lane %s had %d jobs done in 1000 rounds beside a slow one, want about 2000", name.Destination, n)
		}
	}
}

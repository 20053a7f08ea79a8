package natsq

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// arrive brings a job to each of some lanes.
func (w *rosterWorld) arrive(lanes ...schemas.Lane) {
	for _, lane := range lanes {
		w.arrived(lane, w.now)
	}
}

// finish ends all jobs of a lane.
func (w *rosterWorld) finish(lanes ...schemas.Lane) {
	left := map[schemas.Lane]uint64{}
	for lane, p := range w.lanes {
		if p.jobs > 0 && !slices.Contains(lanes, lane) {
			left[lane] = p.jobs
		}
	}
	w.listed(left, w.now)
}

func (w *rosterWorld) rank(jobs uint64, lanes ...schemas.Lane) {
	all := map[schemas.Lane]uint64{}
	for lane, rank := range w.ranks {
		all[lane] = 1<<rank - 1
	}
	for _, lane := range lanes {
		all[lane] = jobs
	}
	w.accepted(all)
}

// TestWhoWaitsForAFlood: 3,000 lanes with a job each get one, and then another lane
// does. It has a consumer at once, whatever the flood's lanes did before.
func TestWhoWaitsForAFlood(t *testing.T) {
	const most = 100
	for _, c := range []struct {
		name string
		// flood and other are how many jobs of each were accepted before.
		flood, other uint64
		late         bool
	}{
		{name: "a lane with accepted jobs comes while the flood comes", other: 1, late: false},
		{name: "a lane with accepted jobs comes after it", other: 1, late: true},
		{name: "a new lane comes after it", late: true},
		{name: "the flood's lanes had a few jobs each", flood: 7, other: 100},
		{name: "the flood's lanes had as many", flood: 100, other: 100, late: true},
		{name: "a new lane comes after a flood of lanes that had some", flood: 100, late: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, flood, other := newRosterWorld(most), someLanes("f", 3000), someLanes("other", 1)[0]
			w.rank(c.flood, flood...)
			w.rank(c.other, other)
			w.arrive(flood[:2000]...)
			w.turns(allOpen)
			if c.late {
				w.arrive(flood[2000:]...)
				w.now = w.now.Add(10 * time.Millisecond)
			}
			w.arrive(other)
			if !c.late {
				w.now = w.now.Add(10 * time.Millisecond)
				w.arrive(flood[2000:]...)
			}
			if made := w.turns(allOpen); !slices.Contains(made, other) {
				t.Errorf("it has no consumer: %d were made, %d lanes have one", len(made), w.served())
			}
			_, _, first := w.offers()
			if !slices.Contains(first, other) || len(first) > most/2+most/8 {
				t.Errorf("%d lanes come first, want it among them: %t", len(first), slices.Contains(first, other))
			}
		})
	}
}

// TestTheFloodIsServedToo: while lanes that come first always have jobs, and new ones
// come all the time, each lane of a flood has its turn.
func TestTheFloodIsServedToo(t *testing.T) {
	const most = 16
	w, flood, seniors := newRosterWorld(most), someLanes("f", 200), someLanes("senior", 30)
	w.rank(50, seniors...)
	w.arrive(slices.Concat(flood, seniors)...)
	waits := map[schemas.Lane]bool{}
	for _, lane := range flood {
		waits[lane] = true
	}
	for n := range 2000 {
		w.arrive(schemas.Lane{Class: schemas.Live, Destination: fmt.Sprint("new", n)})
		for _, lane := range w.turns(allOpen) {
			delete(waits, lane)
		}
		if w.served() > most {
			t.Fatalf("%d lanes have a consumer, at most %d may", w.served(), most)
		}
		w.now = w.now.Add(time.Second)
		var done []schemas.Lane
		for lane, p := range w.lanes {
			if p.consumer && !slices.Contains(seniors, lane) {
				done = append(done, lane)
			}
		}
		w.finish(done...)
	}
	if len(waits) > 0 {
		t.Errorf("%d lanes of the flood never had a turn", len(waits))
	}
}

// TestASeniorLaneKeepsItsPlace while it holds jobs: on three servers a lane whose turn
// ends has to wait until the server has removed its consumer. It keeps it for a while
// after that, so that its next job does not wait for one.
func TestASeniorLaneKeepsItsPlace(t *testing.T) {
	w, flood, senior := newRosterWorld(10), someLanes("f", 100), someLanes("senior", 1)[0]
	w.rank(9, senior)
	w.arrive(senior)
	w.turns(allOpen)
	w.arrive(flood...)
	for range 10 {
		w.now = w.now.Add(5 * time.Second)
		w.turns(allOpen)
		if !w.lanes[senior].offered {
			t.Fatal("its turn has ended")
		}
	}
	w.finish(senior)
	w.turns(allOpen)
	if p := w.lanes[senior]; p == nil || !p.offered {
		t.Fatal("its next job has to wait for a consumer")
	}
	if _, _, first := w.offers(); !slices.Contains(first, senior) {
		t.Error("it does not come first any more")
	}
	w.now = w.now.Add(time.Minute)
	w.turns(allOpen)
	if w.lanes[senior] != nil && w.lanes[senior].consumer {
		t.Error("it had no job for a minute, and has a consumer while others wait")
	}
}

// TestLanesWithoutJobsKeepNoPlace where as many lanes of their rank hold jobs.
func TestLanesWithoutJobsKeepNoPlace(t *testing.T) {
	w, lanes := newRosterWorld(10), someLanes("l", 40)
	w.rank(20, lanes...)
	w.arrive(lanes...)
	w.turns(allOpen)
	var served []schemas.Lane
	for lane, p := range w.lanes {
		if p.consumer {
			served = append(served, lane)
		}
	}
	w.finish(served...)
	w.turns(allOpen)
	for _, lane := range served {
		if p := w.lanes[lane]; p != nil && p.consumer {
			t.Errorf("%s keeps a consumer that a lane with jobs waits for", lane.Destination)
		}
	}
}

package natsq

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// someLanes are n live lanes whose destinations begin with a word.
func someLanes(word string, n int) []schemas.Lane {
	lanes := make([]schemas.Lane, n)
	for i := range lanes {
		lanes[i] = schemas.Lane{Class: schemas.Live, Destination: fmt.Sprint(word, i)}
	}
	return lanes
}

func holding(jobs uint64, lanes ...schemas.Lane) map[schemas.Lane]uint64 {
	found := map[schemas.Lane]uint64{}
	for _, lane := range lanes {
		found[lane] = jobs
	}
	return found
}

func allOpen(schemas.Lane) shutness { return laneOpen }

// rosterWorld runs a roster on a clock of its own, as a server without faults would.
type rosterWorld struct {
	*roster
	now time.Time
}

func newRosterWorld(most int) *rosterWorld {
	return &rosterWorld{newRoster(most, 5*time.Second, time.Minute), time.Unix(1_800_000_000, 0)}
}

// turns makes and frees what a plan says, and gives the lanes that were made.
func (w *rosterWorld) turns(shut func(schemas.Lane) shutness) []schemas.Lane {
	s := w.plan(shut, w.now)
	for _, lane := range s.free {
		w.gone(lane, w.now)
	}
	s = w.plan(shut, w.now)
	for _, lane := range s.make {
		w.made(lane, w.now)
	}
	return s.make
}

func (w *rosterWorld) served() int {
	n := 0
	for _, p := range w.lanes {
		if p.consumer {
			n++
		}
	}
	return n
}

// TestEveryLaneGetsItsTurn: of more lanes than there may be consumers each is served
// within a round, and never more at once than the bound.
func TestEveryLaneGetsItsTurn(t *testing.T) {
	const most, all = 10, 95
	w := newRosterWorld(most)
	found := holding(1000, someLanes("d", all)...)
	times := map[schemas.Lane]int{}
	for range all / most * 2 {
		w.listed(found, w.now)
		for _, lane := range w.turns(allOpen) {
			times[lane]++
		}
		if n := w.served(); n > most {
			t.Fatalf("%d lanes have a consumer, at most %d may", n, most)
		}
		w.now = w.now.Add(5 * time.Second)
	}
	if len(times) != all {
		t.Errorf("%d of %d lanes were served", len(times), all)
	}
	for lane, n := range times {
		if n > 2 {
			t.Errorf("%s was served %d times in less than two rounds", lane.Name(), n)
		}
	}
}

// TestABacklogIsServedByFewLanesAtOnce: where lanes wait for their turn, workers ask a
// hundred ordinary lanes at once. Lanes whose turn is over while jobs are in hand do not
// count among them.
func TestABacklogIsServedByFewLanesAtOnce(t *testing.T) {
	const most = 500
	w := newRosterWorld(most)
	w.listed(holding(20, someLanes("d", 3000)...), w.now)
	served := map[schemas.Lane]bool{}
	for turn := 1; turn <= 3; turn++ {
		for _, lane := range w.plan(allOpen, w.now).make {
			w.made(lane, w.now)
			served[lane] = true
		}
		w.plan(allOpen, w.now)
		ask, _, first := w.offers()
		if n := len(ask) - len(first); n != mostOrdinary {
			t.Errorf("turn %d: %d ordinary lanes can be asked at once, want %d", turn, n, mostOrdinary)
		}
		// Every consumer stays, as if each had a job in hand.
		w.now = w.now.Add(5 * time.Second)
		w.plan(allOpen, w.now)
	}
	if len(served) < 3*mostOrdinary {
		t.Errorf("%d lanes had a turn, want at least %d", len(served), 3*mostOrdinary)
	}
}

// TestNoBacklogNoBound: up to as many lanes as there are places
// for ordinary ones, each has a consumer.
func TestNoBacklogNoBound(t *testing.T) {
	const most = 500
	w := newRosterWorld(most)
	w.listed(holding(20, someLanes("d", most-most/5)...), w.now)
	if w.turns(allOpen); w.served() != most-most/5 {
		t.Errorf("%d lanes are served, want all %d", w.served(), most-most/5)
	}
}

// TestATurnLastsWhileNobodyWaits: lanes keep their consumers while there is room, also
// for a while after their last job.
func TestATurnLastsWhileNobodyWaits(t *testing.T) {
	w := newRosterWorld(12)
	lanes := someLanes("d", 10)
	w.listed(holding(5, lanes...), w.now)
	w.turns(allOpen)
	w.now = w.now.Add(time.Hour)
	if made := w.turns(allOpen); len(made) != 0 || w.served() != 10 {
		t.Errorf("%d lanes were made again, %d are served", len(made), w.served())
	}
	w.listed(nil, w.now)
	w.now = w.now.Add(59 * time.Second)
	if w.turns(allOpen); w.served() != 10 {
		t.Errorf("%d lanes are served within a minute of their last job, want all", w.served())
	}
	w.now = w.now.Add(2 * time.Second)
	if w.turns(allOpen); w.served() != 0 {
		t.Errorf("%d lanes are served after it, want none", w.served())
	}
	w.listed(nil, w.now)
	if len(w.lanes) != 0 {
		t.Errorf("%d lanes are still known", len(w.lanes))
	}
}

// TestAnEmptyLaneMakesRoom at once where another waits.
func TestAnEmptyLaneMakesRoom(t *testing.T) {
	w := newRosterWorld(1)
	first, second := someLanes("d", 2)[0], someLanes("d", 2)[1]
	w.listed(holding(1, first), w.now)
	w.turns(allOpen)
	w.listed(holding(1, second), w.now)
	if made := w.turns(allOpen); !slices.Equal(made, []schemas.Lane{second}) {
		t.Errorf("made %v, want the lane that waits", made)
	}
}

// TestAShutLaneHasNoConsumer: it is neither asked nor waits for a turn; one that is
// to be probed is told of; one with a prober is open to it.
func TestAShutLaneIsNotServed(t *testing.T) {
	w := newRosterWorld(10)
	lanes := someLanes("d", 3)
	states := map[schemas.Lane]shutness{lanes[0]: laneShut, lanes[1]: laneProbeDue}
	shut := func(lane schemas.Lane) shutness { return states[lane] }
	w.listed(holding(1, lanes...), w.now)
	if made := w.turns(shut); !slices.Equal(made, []schemas.Lane{lanes[2]}) {
		t.Errorf("made %v, want the open lane", made)
	}
	ask, probe, _ := w.offers()
	if len(ask) != 1 || len(probe) != 1 || probe[lanes[1]] != 1 {
		t.Errorf("offers %v, and %v to be probed", ask, probe)
	}
	if unserved := w.unserved(); len(unserved) != 0 {
		t.Errorf("%v count as unserved", unserved)
	}
	states[lanes[2]] = laneShut
	w.turns(shut)
	if ask, _, _ := w.offers(); len(ask) != 0 {
		t.Errorf("offers %v of shut lanes", ask)
	}
}

// TestALaneThatCannotBeMade waits longer each time, by itself, says why, and leaves
// its place to others.
func TestALaneThatCannotBeMade(t *testing.T) {
	w := newRosterWorld(1)
	bad, good := schemas.Lane{Class: schemas.Live, Destination: "bad"}, schemas.Lane{Class: schemas.Live, Destination: "good"}
	w.listed(holding(1, bad), w.now)
	var waits []time.Duration
	last := w.now
	for len(waits) < 8 {
		w.listed(holding(1, bad), w.now)
		if s := w.plan(allOpen, w.now); len(s.make) == 1 {
			waits = append(waits, w.now.Sub(last))
			last = w.now
			w.failed(bad, "jetstream_10026", w.now)
		}
		w.now = w.now.Add(time.Second)
	}
	want := []time.Duration{0, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}
	if !slices.Equal(waits, want) {
		t.Errorf("tried after %v, want %v", waits, want)
	}
	if why := w.unserved()[bad]; why != "jetstream_10026" {
		t.Errorf("it waits for %q", why)
	}
	w.listed(holding(1, bad, good), w.now)
	if made := w.turns(allOpen); !slices.Equal(made, []schemas.Lane{good}) {
		t.Errorf("made %v, want the other lane", made)
	}
	if why := w.unserved(); len(why) != 1 {
		t.Errorf("unserved: %v", why)
	}
}

// TestLiveLanesFirst: of five places one is backfill's, so that neither class waits for
// the other to end.
func TestLiveLanesFirst(t *testing.T) {
	w := newRosterWorld(12)
	found := holding(9, someLanes("live", 50)...)
	for i := range 50 {
		found[schemas.Lane{Class: schemas.Backfill, Destination: fmt.Sprint("old", i)}] = 9
	}
	w.listed(found, w.now)
	backfills := 0
	for _, lane := range w.turns(allOpen) {
		if lane.Class == schemas.Backfill {
			backfills++
		}
	}
	if backfills != 2 || w.served() != 10 {
		t.Errorf("%d of %d lanes are backfill's, want 2 of 10", backfills, w.served())
	}
}

// TestHangingLanesKeepNoOtherFromItsTurn: while a few lanes wait and there are places for
// them, lanes whose turn is over do not count among those that can be asked, although
// their consumers stay with jobs in hand.
func TestHangingLanesKeepNoOtherFromItsTurn(t *testing.T) {
	const most = 500
	w := newRosterWorld(most)
	lanes := someLanes("d", 450)
	w.listed(holding(20, lanes...), w.now)
	served := map[schemas.Lane]bool{}
	for range 4 * 30 { // half a minute, with a plan every quarter of a second
		for _, lane := range w.plan(allOpen, w.now).make {
			w.made(lane, w.now)
			served[lane] = true
		}
		w.now = w.now.Add(250 * time.Millisecond)
	}
	if places := most - most/5; len(served) < places {
		t.Errorf("%d lanes had a turn in half a minute, want %d: as many as there are places", len(served), places)
	}
}

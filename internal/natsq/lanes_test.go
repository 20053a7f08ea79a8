package natsq

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chartpost/chartpost/schemas"
)

// someLanes are n lanes whose destinations begin with a word.
func someLanes(word string, n int) []schemas.Lane {
	lanes := make([]schemas.Lane, n)
	for i := range lanes {
		lanes[i] = schemas.Lane{Class: schemas.Live, Destination: fmt.Sprint(word, i)}
	}
	return lanes
}

// TestLanesThatCannotBeMade cost the others one request's time at the most, wait
// for their next try by themselves, and are served once they can be made.
func TestLanesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	bad, good := someLanes("bad", 6), someLanes("good", 4)
	var denied []string
	for _, lane := range bad {
		denied = append(denied, "$JS.API.CONSUMER.CREATE.CHARTPOST_JOBS."+consumerName(lane)+".>")
	}
	admin, poor, reload := divided(t, denied...)
	for _, lane := range slices.Concat(bad, good) {
		admin.publish(lane, 1)
	}
	in := poor.take(patient, 16, calm)
	list := func(wantReady, wantFaults int) {
		t.Helper()
		began := time.Now()
		depths, err := in.Lanes(t.Context())
		// One after the other they would take six times as long.
		if took := time.Since(began); took > 5*apiTimeout {
			t.Errorf("a listing took %s", took)
		}
		if faults := strings.Count(fmt.Sprint(err), "making the consumer of lane live-bad"); len(depths) != wantReady || faults != wantFaults {
			t.Fatalf("%d lanes are ready, want %d, and %d are not, want %d: %v", len(depths), wantReady, faults, wantFaults, err)
		}
	}
	again := func(wait time.Duration) {
		in.lanes.mu.Lock()
		defer in.lanes.mu.Unlock()
		if len(in.lanes.failed) != len(bad) {
			t.Errorf("%d lanes wait for another try, want %d", len(in.lanes.failed), len(bad))
		}
		for lane, f := range in.lanes.failed {
			f.again = time.Now().Add(wait)
			in.lanes.failed[lane] = f
		}
	}
	list(len(good), len(bad))
	again(time.Hour)
	late := schemas.Lane{Class: schemas.Live, Destination: "late"}
	admin.publish(late, 1)
	list(len(good)+1, 0)
	again(0)
	list(len(good)+1, len(bad))
	again(0)
	reload()
	list(len(good)+1+len(bad), 0)
	if len(in.lanes.failed) > 0 {
		t.Error("what failed is not forgotten")
	}
}

// TestAListingThatDoesNotReachAll leaves the rest to the next, and says so: what
// it does not name is not without jobs.
func TestAListingThatDoesNotReachAll(t *testing.T) {
	t.Parallel()
	admin, poor, _ := divided(t, "$JS.API.CONSUMER.CREATE.>")
	for _, lane := range someLanes("bad", makers+2) {
		admin.publish(lane, 1)
	}
	in := poor.take(patient, 16, calm)
	depths, err := in.Lanes(t.Context())
	if said := fmt.Sprint(err); len(depths) != 0 || strings.Count(said, "making the consumer") != makers || !strings.Contains(said, "2 lanes wait for the next listing") {
		t.Errorf("%v, %v", depths, err)
	}
	if n := len(in.lanes.failed); n != makers {
		t.Errorf("%d lanes failed, want %d: the rest was not tried", n, makers)
	}
}

// TestTheWaitForAnotherTry doubles, has an end, and is forgotten with the lane's
// jobs and by a success.
func TestTheWaitForAnotherTry(t *testing.T) {
	var m lanesMade
	found := map[schemas.Lane]uint64{lane1: 1, lane2: 1}
	due := func(now int, want ...schemas.Lane) {
		t.Helper()
		if got := m.list(found, at(now)); !slices.Equal(got, want) {
			t.Errorf("at %d s: %v, want %v", now, got, want)
		}
	}
	m.add(lane2)
	now := 0
	for _, wait := range []int{2, 4, 8, 16, 32, 60, 60} {
		due(now, lane1)
		m.fail(lane1, at(now))
		due(now + wait - 1)
		now += wait
	}
	m.forget(lane2)
	due(now, lane2, lane1) // the one that did not fail is first
	m.add(lane1)
	m.forget(lane1)
	m.fail(lane1, at(now))
	due(now+2, lane2, lane1)
	found = map[schemas.Lane]uint64{}
	due(now)
	found = map[schemas.Lane]uint64{lane1: 1}
	due(now, lane1)
}

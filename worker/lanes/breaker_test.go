package lanes

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
)

func TestOneWorkerProbes(t *testing.T) {
	f := newFleet(t, 3)
	f.open()
	for _, w := range f.workers {
		if w.due(f.lane, true, f.now.Add(time.Second)) != nil {
			t.Fatal("probed before the wait was over")
		}
	}
	for _, wait := range []time.Duration{4, 8, 16, 30, 30} {
		f.now = f.record.Breaker.Until
		if f.workers[0].due(f.lane, false, f.now) != nil {
			t.Fatal("a lane without jobs is probed")
		}
		f.end(f.probe(), "probe", Failing, fault.Destination)
		f.spread()
		if f.record.Breaker.Until.Sub(f.now) != wait*time.Second || f.probers() != 0 {
			t.Fatalf("waits %s, want %ds", f.record.Breaker.Until.Sub(f.now), wait)
		}
	}
	f.now = f.record.Breaker.Until
	f.end(f.probe(), "probe", Healthy, "")
	closed := 0
	for _, w := range f.workers {
		if was, _ := w.heard(f.record, f.now); was {
			closed++
		}
		if shut, probing, _ := w.flow(f.lane, f.now); shut || probing {
			t.Error("the lane is not open again")
		}
	}
	if f.record.Breaker != nil || closed != 2 { // the prober knew
		t.Errorf("%+v, %d workers were told", f.record.Breaker, closed)
	}
}

// TestAProbeThatSaysNothing lets another follow at once; so does one for which
// no job came, after a moment.
func TestAProbeThatSaysNothing(t *testing.T) {
	f := newFleet(t, 2)
	f.open()
	f.wait(time.Minute)
	w := f.probe()
	f.end(w, "probe", Unknown, "")
	f.spread()
	w = f.probe()
	f.write(w, w.giveUpProbe(f.lane, f.now))
	f.spread()
	if f.probers() != 0 || f.record.Breaker.Prober != "" || f.record.Breaker.Opened != 1 {
		t.Fatalf("%+v", f.record.Breaker)
	}
	f.wait(backoff.First)
	f.probe()
}

// TestAProbeThatDoesNotGetThrough waits like one that failed, whatever stood in
// its way; where that was the ledger, it says nothing of the destination.
func TestAProbeThatDoesNotGetThrough(t *testing.T) {
	for _, c := range []struct {
		scope  fault.Scope
		opened int
		wait   time.Duration
	}{{fault.Uploads, 2, 4 * time.Second}, {fault.Redox, 2, 4 * time.Second}, {fault.Store, 2, 4 * time.Second}, {fault.Ledger, 1, backoff.First}} {
		f := newFleet(t, 2)
		f.open()
		f.wait(time.Minute)
		f.end(f.probe(), "probe", Failing, c.scope)
		f.spread()
		br := f.record.Breaker
		if br == nil || br.Prober != "" || br.Opened != c.opened || br.Until.Sub(f.now) != c.wait {
			t.Errorf("%s: %+v", c.scope, br)
		}
	}
}

// TestAProberThatVanishes is followed by another when its time is over, and not
// before; one that goes on renews it.
func TestAProberThatVanishes(t *testing.T) {
	f := newFleet(t, 2)
	f.open()
	f.wait(time.Minute)
	w := f.probe()
	w.started(f.lane)
	for range 10 {
		f.wait(20 * time.Second)
		f.write(w, w.due(f.lane, false, f.now))
		f.spread()
		if f.probers() != 1 || !f.now.Before(f.record.Breaker.Until) {
			t.Fatal("not renewed")
		}
	}
	other := f.workers[1]
	if w == other {
		other = f.workers[0]
	}
	if other.due(f.lane, true, f.now) != nil {
		t.Fatal("two probers")
	}
	f.wait(2 * time.Minute)
	f.write(other, other.due(f.lane, true, f.now))
	f.spread()
	if _, probing, _ := other.flow(f.lane, f.now); !probing || f.probers() != 1 {
		t.Error("nobody follows a prober that vanished")
	}
	// The old one's word counts no more.
	if f.end(w, "probe", Healthy, "") || f.record.Breaker == nil {
		t.Error("closed by one that does not probe any more")
	}
}

// TestFaultsOfALaneAreOneRow: whether uploads, messages or files' reads fail, the
// lane's next job would meet one of them.
func TestFaultsOfALaneAreOneRow(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	for i, scope := range []fault.Scope{fault.Uploads, fault.Destination, fault.Store} {
		if opened := f.end(w, fmt.Sprint(i), Failing, scope); opened != (i == failuresOfALane-1) {
			t.Fatalf("opened %t by fault %d", opened, i+1)
		}
	}
}

// TestWhatBeganBefore an opening says nothing after it.
func TestWhatBeganBefore(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	old := f.slot(w, false)
	result := Result{Job: "old", Health: Failing, Scope: fault.Destination}
	f.open()
	f.wait(time.Minute)
	f.probe()
	if w.ended(old, result, f.now, 1) != nil {
		t.Fatal("a straggler ended the probe")
	}
	f.end(w, "probe", Healthy, "")
	for i := range 10 {
		result.Job = fmt.Sprint(i)
		if w.ended(old, result, f.now, 1) != nil {
			t.Fatal("stragglers opened the lane again")
		}
	}
}

// TestAnOperatorsPause holds everybody back, until it ends or is lifted, beside
// whatever the breaker does.
func TestAnOperatorsPause(t *testing.T) {
	f := newFleet(t, 2)
	f.record.Pause = &Pause{Until: f.now.Add(time.Hour)}
	f.record.Limit = 3
	f.record.Revision = 7
	f.spread()
	w := f.workers[0]
	if shut, _, limit := w.flow(f.lane, f.now); !shut || limit != 3 {
		t.Fatalf("shut %t, limit %d", shut, limit)
	}
	if shut, _, _ := w.flow(f.lane, f.now.Add(time.Hour)); shut {
		t.Fatal("a pause that is over holds on")
	}
	// Jobs in hand still end Failing: the breaker opens within the pause.
	for i := range failuresOfALane {
		f.end(w, fmt.Sprint(i), Failing, fault.Destination)
	}
	f.spread()
	if f.record.Breaker == nil || f.record.Pause == nil || f.record.Limit != 3 {
		t.Fatalf("%+v", f.record)
	}
	f.wait(10 * time.Minute)
	if w.due(f.lane, true, f.now) != nil {
		t.Fatal("a paused lane is probed")
	}
	f.record.Pause = nil
	f.record.Revision++
	f.spread()
	f.probe()
}

// TestWritesThatFail: a lane that was seen to fail stays shut here although the
// fleet could not be told, and is probed again later.
func TestWritesThatFail(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	var put *State
	for i := range failuresOfALane {
		put = w.ended(&Slot{Lane: f.lane}, Result{Job: fmt.Sprint(i), Health: Failing, Scope: fault.Destination}, f.now, 1)
	}
	if put == nil || w.wrote(*put, errors.New("away"), f.now) != nil {
		t.Fatal("want one write")
	}
	if shut, _, _ := w.flow(f.lane, f.now); !shut {
		t.Fatal("open")
	}
	f.wait(time.Minute)
	f.probe()
	f.end(w, "p", Healthy, "")
	if shut, probing, _ := w.flow(f.lane, f.now); shut || probing || f.record.Breaker != nil {
		t.Error("not open again")
	}
}

// TestAnEndDuringAWrite is not forgotten: it is written next.
func TestAnEndDuringAWrite(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	f.open()
	f.wait(time.Minute)
	f.probe()
	w.started(f.lane)
	slot, result := f.slot(w, true), Result{Health: Healthy}
	f.wait(probeTime - time.Second)
	renewal := w.due(f.lane, false, f.now)
	if renewal == nil || w.ended(slot, result, f.now, 1) != nil {
		t.Fatal("want the renewal first")
	}
	f.write(w, renewal)
	if f.record.Breaker != nil {
		t.Error("the end of the probe was forgotten")
	}
	// Also when an operator was faster.
	f.open()
	f.wait(time.Minute)
	f.probe()
	w.started(f.lane)
	w.begin(slot)
	put := w.ended(slot, result, f.now, 1)
	theirs := f.record
	theirs.Pause = &Pause{Until: f.now.Add(time.Hour)}
	theirs.Revision++
	f.record = theirs
	f.write(w, put)
	f.spread()
	if f.record.Breaker != nil || f.record.Pause == nil {
		t.Errorf("the end of the probe was forgotten: %+v", f.record)
	}
}

// TestAClaimWithoutAJob is not renewed: whoever can take one follows.
func TestAClaimWithoutAJob(t *testing.T) {
	f := newFleet(t, 2)
	f.open()
	f.wait(time.Minute)
	w := f.probe()
	if !w.probeClaimed(f.lane) {
		t.Fatal("not claimed")
	}
	f.wait(probeTime - time.Second)
	if w.due(f.lane, false, f.now) != nil {
		t.Fatal("renewed without a job")
	}
	w.started(f.lane)
	if w.probeClaimed(f.lane) {
		t.Error("claimed with a job in hand")
	}
}

// TestALostClaimIsNoProbe: a worker that does not know whether its claim stands
// takes no job until it has heard what the fleet says.
func TestALostClaimIsNoProbe(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	f.open()
	f.wait(time.Minute)
	put := w.due(f.lane, true, f.now)
	for _, err := range []error{ErrChanged, errors.New("away")} {
		w.wrote(*put, err, f.now)
		if shut, probing, _ := w.flow(f.lane, f.now); !shut || probing {
			t.Errorf("after %v: shut %t, probing %t", err, shut, probing)
		}
	}
}

// TestABucketMadeAnew: what is known of a lane ends with the record.
func TestABucketMadeAnew(t *testing.T) {
	f := newFleet(t, 1)
	f.record.Pause, f.record.Revision = &Pause{Until: f.now.Add(time.Hour)}, 57
	f.spread()
	f.record = State{Lane: f.lane}
	f.spread()
	if shut, _, _ := f.workers[0].flow(f.lane, f.now); shut {
		t.Error("a pause outlived its record")
	}
}

// TestAWrongClock: what a worker wrote whose clock is an hour ahead shuts a lane
// no longer than any wait lasts, and neither does a prober with such a clock.
func TestAWrongClock(t *testing.T) {
	f := newFleet(t, 2)
	longest := max(backoff.longestRest(), probeTime)
	for _, prober := range []string{"", "gone"} {
		f.record.Breaker = &Breaker{Since: f.now, Until: f.now.Add(time.Hour), Opened: 1, Prober: prober}
		f.record.Revision++
		f.spread()
		f.wait(longest - time.Second)
		f.spread() // told again, which is no news
		for _, w := range f.workers {
			if w.due(f.lane, true, f.now) != nil {
				t.Fatalf("prober %q: probed before its time", prober)
			}
		}
		f.wait(time.Second)
		f.probe()
	}
	f.record.Breaker, f.record.Pause = nil, &Pause{Until: f.now.Add(time.Hour)}
	f.record.Revision++
	f.spread()
	f.wait(longest)
	if f.probers() != 0 {
		t.Error("an operator's pause ended before its time")
	}
}

// TestWhenALanePresses: for a worker without a free slot, once nobody else has
// claimed it for a while; and then for as long as its turn takes.
func TestWhenALanePresses(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	if w.overdue(f.lane, f.now) {
		t.Error("a lane that is open")
	}
	f.open()
	f.now = f.record.Breaker.Until.Add(turnTime - time.Second)
	if w.overdue(f.lane, f.now) {
		t.Error("at once")
	}
	f.wait(time.Second)
	if !w.overdue(f.lane, f.now) {
		t.Fatal("not after a while")
	}
	f.probe()
	f.wait(turnTime - time.Second)
	if !w.overdue(f.lane, f.now) {
		t.Error("its turn did not last")
	}
	f.wait(time.Second)
	if w.overdue(f.lane, f.now) {
		t.Error("its turn does not end")
	}
}

package lanes

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// met is what a job met that was taken at the same moment as it ended.
func (f *fleet) met(w *breakers, r Result) (opened bool) {
	f.t.Helper()
	return f.write(w, w.ended(f.slot(w, false), r, f.now, 1))
}

func failing(job string) Result {
	return Result{Job: job, Health: Failing, Scope: fault.Destination, Reason: schemas.Reason{Code: "x"}}
}

func refusal(job, code string) Result {
	return Result{Job: job, Health: Healthy, Refused: true, Reason: schemas.Reason{Code: code}}
}

var accepted = Result{Job: "good", Health: Healthy}

// TestWhatIsNotTheDestinations: the faults of one job, of jobs among others that
// go well, of jobs that failed before, and of others than the lane.
func TestWhatIsNotTheDestinations(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	f.met(w, accepted)
	for i := range 100 {
		returning := failing(fmt.Sprint("returning-", i))
		returning.Returning = true
		elsewhere := failing(fmt.Sprint("elsewhere-", i))
		elsewhere.Scope = fault.Redox
		for _, r := range []Result{failing("one"), returning, elsewhere, {Job: fmt.Sprint(i)}} {
			if f.met(w, r) {
				t.Fatalf("opened by %+v", r)
			}
		}
	}
	f.met(w, accepted)
	for i := range 100 {
		for j := range failuresOfALane - 1 {
			if f.met(w, failing(fmt.Sprint(i, "-", j))) {
				t.Fatal("opened by jobs between others that went well")
			}
		}
		f.met(w, accepted)
	}
}

// TestFewJobsOfADeadDestination open its lane when they come back, where none was
// ever accepted.
func TestFewJobsOfADeadDestination(t *testing.T) {
	f := newFleet(t, 1)
	for i := range failuresOfALane {
		r := failing(fmt.Sprint(i))
		r.Returning = i > 0
		if opened := f.met(f.workers[0], r); opened != (i == failuresOfALane-1) {
			t.Fatalf("opened %t by job %d", opened, i+1)
		}
	}
}

// TestWhatBeganBeforeASuccess: a job that another overtook says nothing of the
// destination, however many of them end together.
func TestWhatBeganBeforeASuccess(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	f.met(w, accepted)
	var slots []*Slot
	for range 8 {
		slots = append(slots, f.slot(w, false))
	}
	f.met(w, accepted)
	for i, s := range slots {
		wishes := failing(fmt.Sprint(i))
		wishes.After = time.Minute
		if f.write(w, w.ended(s, wishes, f.now, 1)) {
			t.Fatal("opened by jobs that a good one overtook")
		}
	}
}

// TestAMixedLaneIsJudgedLater: the more jobs failed for their own sake, the more
// have to fail in a row; and as at first after many that went well.
func TestAMixedLaneIsJudgedLater(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	opensAfter := func() int {
		for n := 1; n < 100; n++ {
			if f.met(w, failing(fmt.Sprint(n))) {
				return n
			}
		}
		return 0
	}
	reopen := func() {
		f.record.Breaker = nil
		f.record.Revision++
		f.spread()
	}
	for range 10 {
		f.met(w, failing("poison"))
		f.met(w, accepted)
	}
	if n := opensAfter(); n != failuresOfALane+mostMixed {
		t.Errorf("a mixed lane opens after %d different jobs, want %d", n, failuresOfALane+mostMixed)
	}
	reopen()
	for range goodForRepeats {
		f.met(w, accepted)
	}
	if n := opensAfter(); n != failuresOfALane {
		t.Errorf("a lane that was well for long opens after %d different jobs, want %d", n, failuresOfALane)
	}
}

// TestADestinationsWish opens its lane at once; not where the job failed before,
// except for what is no job's doing.
func TestADestinationsWish(t *testing.T) {
	for _, c := range []struct {
		name               string
		limited, returning bool
		after              time.Duration
		opened             bool
	}{
		{"Retry-After", false, false, time.Minute, true},
		{"Retry-After to a job that failed before", false, true, time.Minute, false},
		{"429", true, false, 10 * time.Second, true},
		{"429 to a job that failed before", true, true, 10 * time.Second, true},
		{"no wish", false, false, 0, false},
	} {
		f := newFleet(t, 1)
		r := failing("a")
		r.Limited, r.Returning, r.After = c.limited, c.returning, c.after
		if opened := f.met(f.workers[0], r); opened != c.opened {
			t.Errorf("%s: opened %t", c.name, opened)
		}
		if c.opened && f.record.Breaker.Until.Sub(f.now) != max(c.after, backoff.First) {
			t.Errorf("%s: shut for %s", c.name, f.record.Breaker.Until.Sub(f.now))
		}
	}
}

// TestAStormOfRefusals: so many different jobs that are refused for good with the
// same code are not the jobs' fault; a probe that is refused so again is not an
// answer, one that is refused otherwise is.
func TestAStormOfRefusals(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	storm := func(code string) (opened bool) {
		for i := range refusalsOfAStorm {
			opened = f.met(w, refusal(fmt.Sprint(i), code))
			if opened != (i == refusalsOfAStorm-1) {
				t.Fatalf("opened %t by refusal %d", opened, i+1)
			}
		}
		return opened
	}
	for range 5 * refusalsOfAStorm {
		if f.met(w, refusal("same", "forbidden")) {
			t.Fatal("opened by one job")
		}
	}
	for i := range 5 * refusalsOfAStorm {
		code := []string{"forbidden", "invalid"}[i%2]
		if f.met(w, refusal(fmt.Sprint(i), code)) {
			t.Fatal("opened by refusals of several kinds")
		}
	}
	for i := range refusalsOfAStorm - 1 {
		f.met(w, refusal(fmt.Sprint(i), "forbidden"))
	}
	f.met(w, accepted)
	storm("forbidden")
	if f.record.Breaker == nil || f.record.Breaker.Reason.Code != "forbidden" {
		t.Fatalf("%+v", f.record.Breaker)
	}
	probe := func(r Result) {
		t.Helper()
		f.wait(time.Minute)
		f.spread()
		f.probe()
		w.started(f.lane)
		f.write(w, w.ended(f.slot(w, true), r, f.now, 1))
	}
	for opened := 2; opened < 5; opened++ {
		probe(refusal("probe", "forbidden"))
		if br := f.record.Breaker; br == nil || br.Opened != opened || br.Prober != "" {
			t.Fatalf("after a probe that was refused alike: %+v", br)
		}
	}
	probe(refusal("probe", "invalid"))
	if f.record.Breaker != nil {
		t.Errorf("after a probe that was refused otherwise: %+v", f.record.Breaker)
	}
}

// TestAProbeThatFailedBefore makes room for another soon: it does not make the
// lane's wait longer.
func TestAProbeThatFailedBefore(t *testing.T) {
	f := newFleet(t, 1)
	f.open()
	w := f.workers[0]
	for range 5 {
		f.wait(time.Minute)
		f.probe()
		w.started(f.lane)
		r := failing("returning")
		r.Returning = true
		f.write(w, w.ended(f.slot(w, true), r, f.now, 1))
		f.spread()
		if br := f.record.Breaker; br == nil || br.Opened != 1 || br.Until.Sub(f.now) != backoff.First {
			t.Fatalf("%+v", br)
		}
	}
}

// TestNoRepeatsInALaneThatFails: a job whose step failed makes room, until many
// went well.
func TestNoRepeatsInALaneThatFails(t *testing.T) {
	f := newFleet(t, 1)
	w := f.workers[0]
	repeats := func() bool { return f.slot(w, false).Repeats }
	if !repeats() {
		t.Error("not in a lane of which nothing is known")
	}
	f.met(w, failing("poison"))
	for range goodForRepeats {
		if repeats() {
			t.Fatal("a job repeats its steps in a lane that has just failed")
		}
		f.met(w, accepted)
	}
	if !repeats() {
		t.Error("not in a lane that has been well for long")
	}
}

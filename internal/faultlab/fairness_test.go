package faultlab

import (
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack/s3dev"
	"github.com/chartpost/chartpost/internal/redoxsim"
)

// trouble is one thing that can be wrong with lanes.
type trouble struct {
	name string
	// fault is what their destinations do; trickles: they read at 20 kB a second.
	fault    redoxsim.Fault
	trickles bool
	// rate is of their bucket, -1 where it is as fast as it is.
	rate int
	// size and jobs are of what is sent to them, 0 for the usual.
	size, jobs int
	// one: all of it goes to one destination.
	one bool
	// everybody's: it is no lane's own.
	everybodys bool
}

// large is more than what connections take in before anybody reads.
const large = 4_000_000

// troubles are the lines of "no lane starves another".
func troubles() []trouble {
	of := func(action redoxsim.Action, f redoxsim.Fault) redoxsim.Fault {
		f.Action = action
		return f
	}
	return []trouble{
		{name: "hangs before the answer", fault: of(redoxsim.HangBeforeBody, redoxsim.Fault{}), rate: -1},
		{name: "hangs after half of the body", fault: of(redoxsim.HangMidBody, redoxsim.Fault{Bytes: large / 2}), rate: -1, size: large, jobs: sized(1, 2)},
		{name: "reads at 20 kB a second", trickles: true, rate: -1, size: large, jobs: sized(1, 2)},
		// Two destinations that answer so are taken for the address's limit.
		{name: "answers 429", fault: of(redoxsim.AnswerStatus, redoxsim.Fault{Status: 429, Header: map[string]string{"Retry-After": "2"}}), rate: -1, one: true},
		{name: "answers 503", fault: of(redoxsim.AnswerStatus, redoxsim.Fault{}), rate: -1},
		{name: "breaks connections", fault: of(redoxsim.CutBeforeBody, redoxsim.Fault{}), rate: -1},
		{name: "its bucket is slow", rate: 20_000, size: 200_000},
		{name: "its bucket hangs", rate: 0},
		{name: "the token endpoint is slow", fault: of(redoxsim.DelayAnswer, redoxsim.Fault{Delay: 1200 * time.Millisecond}), rate: -1, everybodys: true},
	}
}

// fairness measures what troubles cost the lanes beside them.
type fairness struct {
	*lab
	store *storeLine
	// perLane is how many jobs a lane gets, and answers how long a destination
	// that is well takes to answer: long enough that slots are what is short, and
	// not this machine's time.
	perLane int
	answers time.Duration
	runs    int
}

// TestFairness delivers jobs of ten lanes, of which some are in trouble, and
// compares the others' time with that without the trouble.
func TestFairness(t *testing.T) {
	onGrounds(t, "fairness", 1, func(t *testing.T, g ground) {
		f := newFairness(t, g)
		defer f.finish()
		for _, bad := range sized([]int{5}, []int{1, 5}) {
			least := map[int]float64{1: 0.95, 5: 0.90}[bad]
			without := f.others(bad, nil)
			for _, tr := range troubles() {
				took := f.others(bad, &tr)
				f.judge(fmt.Sprintf("%s, %d lanes of 10", tr.name, bad), without, took, least)
			}
		}
		f.poison()
	})
}

func newFairness(t *testing.T, g ground) *fairness {
	c := crew{
		workers: 1, slots: 16, laneSlots: 8, lease: 15 * time.Second, grace: 20 * time.Second, answer: sized(4*time.Second, 6*time.Second),
		further: []string{"CHARTPOST_STALL=" + sized("4s", "6s"), "CHARTPOST_EMBED_LIMIT=10000000", "CHARTPOST_LOG_LEVEL=info"},
	}
	f := &fairness{lab: newLab(t, g, c), perLane: jobs(sized(4, 60)), answers: sized(300*time.Millisecond, time.Second)}
	f.redox = startRedoxWith(t, redoxsim.Config{TokenLifetime: 8 * time.Second})
	f.store = newStoreLine(t, f.s3URL)
	f.s3URL = f.store.url
	f.troubled()
	f.fleet.start()
	return f
}

// troubled sets the faults in force, behind those the others' slowness.
func (f *fairness) troubled(faults ...redoxsim.Fault) {
	f.t.Helper()
	well := redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.DelayAnswer, Delay: f.answers}
	if err := f.redox.sim.Replace(append(faults, well)...); err != nil {
		f.t.Fatal(err)
	}
}

// others is how long the lanes that are well take for their jobs, beside as many
// lanes in trouble.
func (f *fairness) others(bad int, tr *trouble) time.Duration {
	f.t.Helper()
	f.runs++
	troubled := load{name: fmt.Sprintf("bad%d", f.runs), jobs: bad * f.perLane, destinations: destinations(fmt.Sprintf("bad%d", f.runs), bad), largest: 20_000, class: "live", transfer: "embed"}
	var faults []redoxsim.Fault
	if tr != nil {
		faults = f.impose(tr, &troubled)
	}
	good := load{name: fmt.Sprintf("good%d", f.runs), jobs: (10 - bad) * f.perLane, destinations: destinations("hospital", 10-bad), largest: 20_000, class: "live", transfer: "embed"}
	badOrders, goodOrders := f.stored(troubled), f.stored(good)
	f.troubled(faults...)
	// A token is at hand, as in a worker that runs.
	f.alone(load{name: fmt.Sprintf("warm%d", f.runs), jobs: 1, destinations: []string{"warm"}, largest: 20_000, class: "live", transfer: "embed"})
	began := time.Now()
	f.release(badOrders)
	f.release(goodOrders)
	f.accepted(good.name, len(goodOrders))
	took := time.Since(began)
	f.troubled()
	f.store.heal()
	f.redox.trickle(nil)
	if tr == nil || *long {
		f.settle()
	}
	return took
}

// impose puts a trouble on a load.
func (f *fairness) impose(tr *trouble, on *load) (faults []redoxsim.Fault) {
	if tr.size > 0 {
		on.size = tr.size
	}
	if tr.jobs > 0 {
		on.jobs = tr.jobs * len(on.destinations)
	}
	if tr.one {
		on.destinations = on.destinations[:1]
	}
	if tr.rate >= 0 {
		on.bucket = fmt.Sprintf("slow%d", f.runs)
		if err := s3dev.Bucket(f.t.Context(), f.s3, on.bucket, false); err != nil {
			f.t.Fatal(err)
		}
		f.store.set(on.bucket, tr.rate)
	}
	if tr.trickles {
		f.redox.trickle(on.destinations)
	}
	fault := tr.fault
	switch {
	case tr.everybodys:
		fault.Match = redoxsim.Match{Kind: redoxsim.TokenRequest}
		return []redoxsim.Fault{fault}
	case fault.Action == "":
		return nil
	}
	for _, destination := range on.destinations {
		fault.Match = redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: destination}
		faults = append(faults, fault)
	}
	return faults
}

// poison measures a lane of which every tenth job is answered 500 for ever.
func (f *fairness) poison() {
	f.t.Helper()
	n := jobs(sized(40, 600))
	pure := load{name: "pure", jobs: n * 9 / 10, destinations: []string{"pure"}, largest: 20_000, class: "live", transfer: "embed"}
	mixed := load{name: "mixed", jobs: n, destinations: []string{"mixed"}, largest: 20_000, class: "live", transfer: "embed", poison: 10}
	f.redox.poisoned(true)
	without := f.alone(pure)
	took := f.alone(mixed)
	f.redox.poisoned(false)
	f.judge("poison in the lane itself", without, took, 0.5)
}

func (f *fairness) alone(of load) time.Duration {
	f.t.Helper()
	orders := f.stored(of)
	good := of.jobs
	if of.poison > 0 {
		good -= of.jobs / of.poison
	}
	began := time.Now()
	f.release(orders)
	f.accepted(of.name, good)
	return time.Since(began)
}

// judge compares two times. The short form is not much longer than the two seconds
// for which a job may hold its slot before it yields, on a machine that may be
// busy with other things: it is given those, and twice the time.
func (f *fairness) judge(name string, without, took time.Duration, least float64) {
	f.t.Helper()
	ratio := without.Seconds() / took.Seconds()
	f.measure(name, "%s, without the trouble %s, ratio %.3f", took.Round(time.Millisecond), without.Round(time.Millisecond), ratio)
	f.t.Logf("%s: %s, without the trouble %s, ratio %.3f", name, took.Round(time.Millisecond), without.Round(time.Millisecond), ratio)
	switch {
	case *long && ratio < least:
		f.t.Errorf("%s: slowed down to %.3f, want at least %.2f", name, ratio, least)
	case !*long && took > 2*without+4*time.Second:
		f.t.Errorf("%s: slowed down from %s to %s", name, without, took)
	}
}

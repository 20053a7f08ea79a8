package lanes

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// simulation plays one worker against a queue and destinations, in its own time.
type simulation struct {
	table  *Table
	now    time.Time
	events events
	random *rand.Rand
	lanes  map[schemas.Lane]*simLane
	order  []schemas.Lane
	// revision is that of the fleet's records.
	revision uint64
	// retry is when a job that failed comes back.
	retry time.Duration
}

// simLane is a lane of the queue and the destination behind it.
type simLane struct {
	name   schemas.Lane
	jobs   []simJob
	inHand int
	meets  func(*rand.Rand, simJob) meeting
	// accepted counts the jobs taken, at the last of which it was last.
	accepted int
	last     time.Time
}

// simJob is one job; poison never gets through.
type simJob struct {
	id       string
	poison   bool
	attempts int
}

// meeting is what a try of a job meets: how long it takes and what came of it.
type meeting struct {
	takes  time.Duration
	result Result
	// slow: it is noticed after two seconds, as a wait of this kind.
	slow bool
	wait Wait
}

type event struct {
	at  time.Time
	seq int
	run func()
}

type events struct {
	list []event
	seq  int
}

func (e *events) Len() int { return len(e.list) }
func (e *events) Less(i, j int) bool {
	if a, b := e.list[i], e.list[j]; !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return e.list[i].seq < e.list[j].seq
}
func (e *events) Swap(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] }
func (e *events) Push(x any)    { e.list = append(e.list, x.(event)) }
func (e *events) Pop() any {
	last := e.list[len(e.list)-1]
	e.list = e.list[:len(e.list)-1]
	return last
}

const simConcurrency = 8

func newSimulation() *simulation {
	return &simulation{
		table: New(Settings{Worker: "w", Slots: 16, Concurrency: simConcurrency, Backoff: backoff}),
		now:   noon, random: rand.New(rand.NewPCG(1, 2)), lanes: map[schemas.Lane]*simLane{}, retry: 30 * time.Second,
	}
}

func (s *simulation) after(d time.Duration, run func()) {
	s.events.seq++
	heap.Push(&s.events, event{s.now.Add(d), s.events.seq, run})
}

func (s *simulation) add(name string, jobs int, poisonEvery int, meets func(*rand.Rand, simJob) meeting) *simLane {
	lane := &simLane{name: liveLane(name), meets: meets}
	for i := range jobs {
		lane.jobs = append(lane.jobs, simJob{id: fmt.Sprint(name, "-", i), poison: poisonEvery > 0 && i%poisonEvery == poisonEvery-1})
	}
	s.lanes[lane.name] = lane
	s.order = append(s.order, lane.name)
	return lane
}

// run plays until done, and gives the time it took.
func (s *simulation) run(t *testing.T, longest time.Duration, done func() bool) time.Duration {
	t.Helper()
	s.offer()
	s.tick()
	began := s.now
	for !done() {
		if s.events.Len() == 0 || s.now.Sub(began) > longest {
			for _, name := range s.order {
				t.Logf("%s: %d accepted, %d wait, %d in hand", name.Destination, s.lanes[name].accepted, len(s.lanes[name].jobs), s.lanes[name].inHand)
			}
			t.Fatalf("not done after %s", s.now.Sub(began))
		}
		next := heap.Pop(&s.events).(event)
		s.now = next.at
		next.run()
		s.act()
	}
	return s.now.Sub(began)
}

func (s *simulation) offer() {
	var o Offer
	for _, name := range s.order {
		if lane := s.lanes[name]; len(lane.jobs)+lane.inHand > 0 {
			o.Lanes = append(o.Lanes, Depth{Lane: name, Jobs: uint64(len(lane.jobs) + lane.inHand), Served: true})
		}
	}
	s.table.Offered(o, s.now)
	s.after(250*time.Millisecond, s.offer)
}

func (s *simulation) tick() {
	s.table.Tick(s.now)
	s.after(500*time.Millisecond, s.tick)
}

// act does what the table wants done.
func (s *simulation) act() {
	for _, w := range s.table.Writes() {
		s.after(2*time.Millisecond, func() {
			s.revision++
			w.Revision = s.revision
			s.table.Wrote(w, nil, s.now)
		})
	}
	s.table.Pace(1<<20, 0)
	for _, a := range s.table.Asks() {
		s.after(time.Millisecond, func() { s.serve(a) })
	}
}

// serve answers an ask as the queue does.
func (s *simulation) serve(a Ask) {
	lane := s.lanes[a.Lane]
	left := a.Jobs
	for left > 0 && len(lane.jobs) > 0 && lane.inHand < simConcurrency {
		job := lane.jobs[0]
		slot := s.table.Arrived(a.Lane, uint64(len(lane.jobs)-1), s.now)
		if slot == nil {
			break
		}
		lane.jobs, left = lane.jobs[1:], left-1
		lane.inHand++
		s.start(lane, slot, job)
	}
	switch {
	case left == 0:
		s.table.AskEnded(a.Lane, 0, s.now)
	case a.Long:
		s.after(time.Second, func() { s.table.AskEnded(a.Lane, left, s.now) })
	default:
		s.after(100*time.Millisecond, func() { s.table.AskEnded(a.Lane, left, s.now) })
	}
}

func (s *simulation) start(lane *simLane, slot *Slot, job simJob) {
	m := lane.meets(s.random, job)
	if m.result.Health == Failing && slot.Repeats && m.result.After == 0 {
		m.takes = 3*m.takes + 1500*time.Millisecond
	}
	m.result.Job, m.result.Returning = job.id, job.attempts > 0
	m.result.Reason.Code = "code"
	if m.slow && m.takes > 2*time.Second {
		s.after(2*time.Second, func() { s.table.Yield(slot, m.wait, s.now) })
	}
	s.after(m.takes, func() {
		lane.inHand--
		s.table.Ended(slot, m.result, s.now, s.random.Float64())
		switch {
		case m.result.accepted():
			lane.accepted++
			lane.last = s.now
		case m.result.Limited:
			s.after(time.Second, func() { lane.jobs = append([]simJob{job}, lane.jobs...) })
		case m.result.Health == Failing:
			job.attempts++
			s.after(s.retry<<min(job.attempts-1, 6), func() { lane.jobs = append(lane.jobs, job) })
		}
	})
}

// answersIn is a destination that takes everything but poison.
func answersIn(d time.Duration) func(*rand.Rand, simJob) meeting {
	return func(r *rand.Rand, job simJob) meeting {
		m := meeting{takes: d/2 + time.Duration(r.Float64()*float64(d)), result: Result{Health: Healthy}}
		if job.poison {
			m.result = Result{Health: Failing, Scope: fault.Destination}
		}
		return m
	}
}

func always(m meeting) func(*rand.Rand, simJob) meeting {
	return func(*rand.Rand, simJob) meeting { return m }
}

// troubles are what can be wrong with a lane; own says that its jobs are to get
// through all the same.
var troubles = []struct {
	name  string
	meets func(*rand.Rand, simJob) meeting
}{
	{"hangs before the answer", always(meeting{takes: 5 * time.Minute, slow: true, wait: ForAnswer, result: Result{Health: Failing, Scope: fault.Destination}})},
	{"hangs after half of the body", always(meeting{takes: time.Minute, slow: true, wait: ForBytes, result: Result{Health: Failing, Scope: fault.Destination}})},
	{"reads at 20 kB/s", always(meeting{takes: 10 * time.Second, slow: true, wait: ForBytes, result: Result{Health: Healthy}})},
	{"answers after 1.9 s", always(meeting{takes: 1900 * time.Millisecond, result: Result{Health: Healthy}})},
	{"answers 429", always(meeting{takes: 50 * time.Millisecond, result: Result{Health: Failing, Scope: fault.Destination, Limited: true, After: 10 * time.Second}})},
	{"answers 503", always(meeting{takes: 50 * time.Millisecond, result: Result{Health: Failing, Scope: fault.Destination}})},
	{"refuses connections", always(meeting{takes: time.Millisecond, result: Result{Health: Failing, Scope: fault.Destination}})},
	{"bucket slow", always(meeting{takes: 15 * time.Second, slow: true, wait: ForBytes, result: Result{Health: Healthy}})},
	{"bucket hangs", always(meeting{takes: time.Minute, slow: true, wait: ForBytes, result: Result{Health: Failing, Scope: fault.Store}})},
	{"every job is poison", always(meeting{takes: 100 * time.Millisecond, result: Result{Health: Failing, Scope: fault.Destination}})},
	{"refuses every job", always(meeting{takes: 20 * time.Millisecond, result: Result{Health: Healthy, Refused: true}})},
}

// othersTake is how long ten lanes take for so many jobs each, of which the first
// bad ones are in trouble and do not count.
func othersTake(t *testing.T, bad, jobs int, meets func(*rand.Rand, simJob) meeting) time.Duration {
	s := newSimulation()
	var others []*simLane
	for i := range 10 {
		if i < bad {
			s.add(fmt.Sprint("bad-", i), jobs, 0, meets)
			continue
		}
		others = append(others, s.add(fmt.Sprint("good-", i), jobs, 0, answersIn(300*time.Millisecond)))
	}
	// The rate while all want something: until the first of them has enough.
	return s.run(t, time.Hour, func() bool {
		for _, lane := range others {
			if lane.accepted >= jobs*9/10 {
				return true
			}
		}
		return false
	})
}

// TestOthersAreNotSlowedDown plays what can be wrong with one lane of ten, and with
// half of all jobs, and compares the others' time with that beside healthy lanes.
func TestOthersAreNotSlowedDown(t *testing.T) {
	const jobs = 500
	healthy := answersIn(300 * time.Millisecond)
	for _, c := range []struct {
		bad   int
		least float64
	}{{1, 0.95}, {5, 0.90}} {
		without := othersTake(t, c.bad, jobs, healthy)
		for _, trouble := range troubles {
			t.Run(fmt.Sprintf("%s/%d", trouble.name, c.bad), func(t *testing.T) {
				took := othersTake(t, c.bad, jobs, trouble.meets)
				ratio := without.Seconds() / took.Seconds()
				t.Logf("%d bad lanes of 10: %s instead of %s, ratio %.3f", c.bad, took, without, ratio)
				if ratio < c.least {
					t.Errorf("the others are slowed down to %.3f, want at least %.2f", ratio, c.least)
				}
			})
		}
	}
}

// TestANewJobBesideTroubledLanes: its lane had none, and twenty others are in
// trouble; it is taken at once, or when the first of them yield.
func TestANewJobBesideTroubledLanes(t *testing.T) {
	for _, trouble := range troubles {
		s := newSimulation()
		for i := range 20 {
			s.add(fmt.Sprint("bad-", i), 1000, 0, trouble.meets)
		}
		lane := s.add("calm", 0, 0, answersIn(100*time.Millisecond))
		var longest, sum time.Duration
		const jobs = 60
		for i := range jobs {
			published := s.now.Add(time.Second + time.Duration(s.random.Float64()*float64(time.Second)))
			s.after(published.Sub(s.now), func() { lane.jobs = append(lane.jobs, simJob{id: fmt.Sprint(i)}) })
			s.run(t, time.Hour, func() bool { return lane.accepted == i+1 })
			took := s.now.Sub(published)
			longest, sum = max(longest, took), sum+took
		}
		t.Logf("%s: %s at the mean, %s at the most", trouble.name, sum/jobs, longest)
		if longest > 5*time.Second || sum/jobs > time.Second {
			t.Errorf("%s: a job of another lane took %s at the mean, %s at the most", trouble.name, sum/jobs, longest)
		}
	}
}

// TestPoisonInTheLaneItself: with every tenth job poisonous a lane keeps half of its
// rate at least, whether its destination is fast or slow.
func TestPoisonInTheLaneItself(t *testing.T) {
	for _, answer := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		const jobs = 3000
		pure := newSimulation()
		lane := pure.add("a", jobs*9/10, 0, answersIn(answer))
		without := pure.run(t, time.Hour, func() bool { return lane.accepted == jobs*9/10 })
		mixed := newSimulation()
		lane = mixed.add("a", jobs, 10, answersIn(answer))
		took := mixed.run(t, time.Hour, func() bool { return lane.accepted == jobs*9/10 })
		ratio := without.Seconds() / took.Seconds()
		t.Logf("answers in %s: %s with poison, %s without, ratio %.3f", answer, took, without, ratio)
		if ratio < 0.5 {
			t.Errorf("10 %% poison slows a lane that answers in %s down to %.3f", answer, ratio)
		}
	}
}

// TestAGoodJobBehindPoison: in a lane of which only poison is left, which comes
// back again and again, a new good job waits a few seconds at most.
func TestAGoodJobBehindPoison(t *testing.T) {
	s := newSimulation()
	s.retry = 5 * time.Second
	lane := s.add("a", 40, 2, answersIn(50*time.Millisecond))
	s.run(t, time.Hour, func() bool { return lane.accepted == 20 })
	longest := time.Duration(0)
	for i := range 200 {
		s.after(time.Duration(s.random.Float64()*float64(10*time.Second)), func() {
			lane.jobs = append(lane.jobs, simJob{id: fmt.Sprint("late-", i)})
		})
		before, began := lane.accepted, time.Time{}
		s.run(t, time.Hour, func() bool {
			if began.IsZero() && len(lane.jobs) > 0 && lane.jobs[len(lane.jobs)-1].id == fmt.Sprint("late-", i) {
				began = s.now
			}
			return lane.accepted > before
		})
		if !began.IsZero() {
			longest = max(longest, s.now.Sub(began))
		}
	}
	t.Logf("the longest wait of 200 good jobs: %s", longest)
	if longest > 5*time.Second {
		t.Errorf("a good job waited %s among poisonous ones", longest)
	}
}

// TestADestinationThatIsDown costs few attempts, and the lane goes on soon after it
// is up again.
func TestADestinationThatIsDown(t *testing.T) {
	s := newSimulation()
	down, tries := true, 0
	lane := s.add("a", 2000, 0, nil)
	lane.meets = func(r *rand.Rand, job simJob) meeting {
		if !down {
			return answersIn(50*time.Millisecond)(r, job)
		}
		tries++
		return meeting{takes: 50 * time.Millisecond, result: Result{Health: Failing, Scope: fault.Destination}}
	}
	up := false
	s.after(10*time.Minute, func() { up = true })
	s.run(t, time.Hour, func() bool { return up })
	t.Logf("%d attempts in ten minutes", tries)
	if tries > 60 {
		t.Errorf("%d attempts were spent in ten minutes on a destination that is down", tries)
	}
	down = false
	took := s.run(t, time.Hour, func() bool { return lane.accepted > 0 })
	if took > 35*time.Second {
		t.Errorf("the first job was accepted %s after it was up again", took)
	}
}

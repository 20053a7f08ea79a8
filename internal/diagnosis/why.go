package diagnosis

import (
	"fmt"
	"strings"
	"time"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// State is one cause why jobs do not move.
type State string

// The states, those that hold the most first.
const (
	LaterVersion State = "later_version"
	NoWorker     State = "no_worker"
	Paused       State = "paused"
	Broken       State = "broken"
	Probing      State = "probing"
	GatesShut    State = "gates_shut"
	Unserved     State = "unserved"
	AtLimit      State = "limit"
	NoBudget     State = "budget"
	Scheduled    State = "scheduled"
	Predecessor  State = "predecessor"
	Queued       State = "queued"
)

// States are all of them.
func States() []State {
	return []State{LaterVersion, NoWorker, Paused, Broken, Probing, GatesShut, Unserved, AtLimit, NoBudget, Scheduled, Predecessor, Queued}
}

// Facts are what is known. What is nil is not known.
type Facts struct {
	Now   time.Time
	Fleet *Fleet
	Lane  *Lane
	// Job is nil where the question is about the lane.
	Job *Job
}

// Lane is what the queue and the record of a lane say.
type Lane struct {
	State           lanes.State
	Waiting, InHand uint64
	// Concurrency is how many of its jobs the fleet may have in hand; 0 where it is not
	// known.
	Concurrency int
	// Unserved is why no worker can be asked for its jobs; empty where one can.
	Unserved string
}

// Job is a job that is not in hand.
type Job struct {
	// Scheduled is when it comes back to its lane; zero where it is in its lane.
	Scheduled time.Time
	// Predecessor is the job of the same destination that must be accepted first.
	Predecessor string
}

// Cause is one reason why a job or lane does not move.
type Cause struct {
	State State `json:"state"`
	// Until is when it ends by itself; zero is not known, or never.
	Until time.Time `json:"until,omitzero"`
	// By is the operator or worker that caused it.
	By string `json:"by,omitempty"`
	// Code is a code of docs/reasons.md or of a lane's table.
	Code string `json:"code,omitempty"`
	// Text is a sentence without its first letter and its end.
	Text string `json:"text"`
}

// Lane is the state in the tables of lanes: paused, broken, probing or unserved. It is empty
// for what only slows a lane, or holds some of its jobs.
func (c Cause) Lane() string {
	switch c.State {
	case NoWorker, Unserved, GatesShut:
		return string(Unserved)
	case Paused, Broken, Probing:
		return string(c.State)
	case LaterVersion:
		return string(Paused)
	case AtLimit, NoBudget, Queued, Scheduled, Predecessor:
	}
	return ""
}

// Answer is why a job or lane does not move: all causes, that which holds the most
// first. None means that it moves, or that nothing is known.
type Answer struct {
	Causes []Cause `json:"causes,omitempty"`
}

// Is reports whether a state is among the causes.
func (a Answer) Is(s State) bool { return a.cause(s) != nil }

func (a Answer) cause(s State) *Cause {
	for i := range a.Causes {
		if a.Causes[i].State == s {
			return &a.Causes[i]
		}
	}
	return nil
}

// First is the cause that holds the most; its State is empty where there is none.
func (a Answer) First() Cause {
	if len(a.Causes) == 0 {
		return Cause{}
	}
	return a.Causes[0]
}

// Text is all causes, in the words of a person.
func (a Answer) Text() string {
	var texts []string
	for _, c := range a.Causes {
		texts = append(texts, c.Text)
	}
	return strings.Join(texts, "; ")
}

// Why answers.
func Why(f Facts) Answer {
	a := &answer{facts: f}
	a.job()
	hard := a.hard()
	if f.Job == nil || f.Job.Scheduled.IsZero() {
		a.soft(hard)
	}
	return a.Answer
}

// answer is one on its way.
type answer struct {
	Answer
	facts Facts
}

func (a *answer) add(c Cause) { a.Causes = append(a.Causes, c) }

// job says what holds the one job, before its lane can.
func (a *answer) job() {
	j := a.facts.Job
	if j == nil || j.Scheduled.IsZero() {
		return
	}
	if j.Predecessor != "" {
		a.add(Cause{State: Predecessor, Until: j.Scheduled, Code: j.Predecessor, Text: "job " + j.Predecessor + " must be accepted first"})
		return
	}
	a.add(Cause{State: Scheduled, Until: j.Scheduled, Text: "it is scheduled for " + stamp(j.Scheduled)})
}

// hard adds what holds all jobs of a lane, and reports whether anything does.
func (a *answer) hard() bool {
	before := len(a.Causes)
	f, lane := a.facts, a.facts.Lane
	if lane != nil && lane.State.Later {
		a.add(Cause{State: LaterVersion, Text: "a later version of Chartpost wrote its lane's record; workers of this version take no jobs of the lane"})
	}
	if f.Fleet != nil && len(f.Fleet.Workers) == 0 {
		a.add(Cause{State: NoWorker, Code: "no_worker_alive", Text: "no worker is alive"})
	}
	if lane == nil {
		return len(a.Causes) > before
	}
	if p := lane.State.Pause; p != nil && f.Now.Before(p.Until) && !lane.State.Later {
		a.add(Cause{State: Paused, Until: p.Until, By: p.By, Code: p.Reason, Text: fmt.Sprintf("its lane is paused until %s by %s: %s", stamp(p.Until), p.By, p.Reason)})
	}
	switch b := lane.State.Breaker; {
	case b == nil:
	case b.Prober == "" && f.Now.Before(b.Until):
		a.add(Cause{State: Broken, Until: b.Until, Code: b.Reason.Code, Text: fmt.Sprintf("its lane is shut until %s, since its destination fails: %s", stamp(b.Until), b.Reason.Code)})
	default:
		a.add(Cause{State: Probing, Until: b.Until, By: b.Prober, Code: b.Reason.Code, Text: "its lane is being probed with one job, since its destination failed: " + b.Reason.Code})
	}
	return len(a.Causes) > before
}

// soft adds what only slows a lane, or holds it as others are held too.
func (a *answer) soft(held bool) {
	f, lane := a.facts, a.facts.Lane
	gated := false
	if f.Fleet != nil {
		if gate, some := f.Fleet.shut(); gate != nil {
			gated = true
			all := Gate{Until: gate.Until, Code: f.Fleet.codes()}
			a.add(Cause{State: GatesShut, Until: all.Until, Code: all.Code, Text: fmt.Sprintf("the gates of all workers (%d) are shut: %s", some, all.Text())})
		}
	}
	if held || gated || lane == nil {
		return
	}
	switch {
	case lane.Unserved != "":
		a.add(Cause{State: Unserved, Code: lane.Unserved, Text: "no worker can take jobs of its lane: " + lane.Unserved})
	case lane.Waiting == 0:
	case lane.Concurrency > 0 && lane.InHand >= uint64(lane.Concurrency):
		a.add(Cause{State: AtLimit, Text: fmt.Sprintf("its lane has %d jobs in hand, as many as it may; %d wait", lane.InHand, lane.Waiting)})
	case a.budget(lane.State.Lane.Class):
	case lane.Waiting > 1:
		a.add(Cause{State: Queued, Text: fmt.Sprintf("%d jobs wait in its lane", lane.Waiting)})
	}
}

// budget adds that jobs of a class wait for the request budget, where they do.
func (a *answer) budget(class schemas.Class) bool {
	if a.facts.Fleet == nil {
		return false
	}
	held, waits := a.facts.Fleet.waits(class, a.facts.Now)
	switch {
	case !held.IsZero():
		a.add(Cause{State: NoBudget, Until: held, Text: fmt.Sprintf("Redox refused a request for the rate; none is sent until %s", stamp(held))})
	case waits:
		a.add(Cause{State: NoBudget, Text: fmt.Sprintf("%s jobs wait for the request budget; see `chartpost lane budget`", class)})
	}
	return waits
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

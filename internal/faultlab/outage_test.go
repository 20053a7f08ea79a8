package faultlab

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestOutage lets Redox, or one destination, be away for a while: no job may
// fail of it, none may be sent twice, and the end of it may be no stampede.
func TestOutage(t *testing.T) {
	onGrounds(t, "outage", 1, func(t *testing.T, g ground) {
		kinds := sized([]string{"5xx", "refused"}, []string{"5xx", "refused", "hang", "5xx-one", "hang-one"})
		lengths := sized([]time.Duration{5 * time.Second}, []time.Duration{10 * time.Second, time.Minute, 150 * time.Second})
		for _, kind := range kinds {
			for _, length := range lengths {
				t.Run(fmt.Sprintf("%s-%s", kind, length), func(t *testing.T) {
					if !*long {
						t.Parallel()
					}
					outage{
						kind: kind, length: length,
						load: load{name: "outage", jobs: jobs(sized(40, 500)), destinations: destinations("hospital", 4), largest: 20_000},
						crew: crew{workers: 2, slots: 16, laneSlots: 8, lease: sized(15*time.Second, 5*time.Second), grace: 20 * time.Second, answer: sized(15*time.Second, 5*time.Second)},
					}.run(t, g)
				})
			}
		}
	})
}

type outage struct {
	kind   string
	length time.Duration
	load   load
	crew   crew
}

func (o outage) run(t *testing.T, g ground) {
	l := newLab(t, g, o.crew)
	ctx := t.Context()
	l.fleet.start()
	warm := o.load
	warm.name, warm.jobs = "before", 2*len(o.load.destinations)
	l.publish(ctx, warm)
	if !l.drained(ctx) {
		t.Fatal("the jobs before the outage were not delivered")
	}

	begin := time.Now()
	o.begin(l)
	l.harm("outage "+o.kind, "redox", 0)
	l.publish(ctx, o.load)
	pause(ctx, o.length-time.Since(begin))
	// What was published late, on a slow machine, makes the outage longer.
	held := len(l.redox.sim.Messages())
	l.harm("outage over", "redox", 0)
	end := time.Now()
	o.end(l)
	recovering, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	_, err := l.redox.sim.AwaitMessages(recovering, held+1)
	first := time.Since(end)
	if err != nil {
		t.Errorf("nothing was accepted within %s after the outage", first)
	}
	l.drained(ctx)
	l.measure("outage", "%s, first acceptance %s after its end, drained %s after it",
		end.Sub(begin).Round(time.Millisecond), first.Round(time.Millisecond), time.Since(end).Round(time.Millisecond))
	l.measure("requests in the outage", "%s", rateOf(l.redox.log(), begin, end))
	l.measure("requests in the 5 s after", "%s", rateOf(l.redox.log(), end, end.Add(5*time.Second)))
	l.close(Rules{AllAccepted: true, NoRepeats: true, FewSpend: 2 * o.crew.laneSlots, Term: o.crew.grace + patience})
}

// begin makes Redox, or one destination, unable.
func (o outage) begin(l *lab) {
	l.t.Helper()
	one := redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: o.load.destinations[0]}
	var err error
	switch o.kind {
	case "5xx":
		err = l.redox.sim.Inject(redoxsim.Fault{Action: redoxsim.AnswerStatus, Status: 503})
	case "5xx-one":
		err = l.redox.sim.Inject(redoxsim.Fault{Match: one, Action: redoxsim.AnswerStatus, Status: 503})
	case "hang-one":
		err = l.redox.sim.Inject(redoxsim.Fault{Match: one, Action: redoxsim.HangBeforeBody})
	case "hang":
		err = l.fleet.setDoors((*Proxy).Hang)
	case "refused":
		err = l.fleet.setDoors((*Proxy).Refuse)
	default:
		l.t.Fatalf("no outage is called %s", o.kind)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (o outage) end(l *lab) {
	l.t.Helper()
	l.redox.sim.ClearFaults()
	if err := l.fleet.setDoors((*Proxy).Pass); err != nil {
		l.t.Fatal(err)
	}
}

// rate is how many requests began at Redox in a span of time.
type rate struct {
	total, most int
	perSecond   float64
	kinds       count
}

func (r rate) String() string {
	return fmt.Sprintf("%d (%s), %.1f a second, at most %d in one", r.total, r.kinds, r.perSecond, r.most)
}

func rateOf(log []Request, from, to time.Time) rate {
	r := rate{kinds: count{}}
	seconds := map[int]int{}
	for _, q := range log {
		if q.Start.Before(from) || q.Start.After(to) {
			continue
		}
		r.total++
		r.kinds[q.Kind]++
		second := int(q.Start.Sub(from) / time.Second)
		seconds[second]++
		r.most = max(r.most, seconds[second])
	}
	r.perSecond = float64(r.total) / to.Sub(from).Seconds()
	return r
}

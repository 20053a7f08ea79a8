package faultlab

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// deadDestination is where nothing gets through.
const deadDestination = "dead-1"

// TestIsolation measures what one dead destination costs the others: it hangs
// first and answers 503 then, while the queue is full.
func TestIsolation(t *testing.T) {
	onGrounds(t, "isolation", 1, func(t *testing.T, g ground) {
		for _, share := range sized([]int{50}, []int{10, 50}) {
			t.Run(fmt.Sprintf("%d-percent", share), func(t *testing.T) {
				c := isolation{
					load: load{name: "healthy", jobs: jobs(sized(80, 2000)), destinations: destinations("hospital", 8), largest: 20_000},
					crew: crew{workers: sized(2, 3), slots: 16, laneSlots: 8, lease: sized(15*time.Second, 5*time.Second), grace: 20 * time.Second, answer: sized(20*time.Second, 5*time.Second)},
					hang: sized(3*time.Second, 10*time.Second), answers: sized(time.Millisecond, 500*time.Millisecond),
				}
				// So many that share is their part of all jobs.
				c.dead = c.load.jobs * share / (100 - share)
				c.run(t, g)
			})
		}
	})
}

type isolation struct {
	load load
	crew crew
	dead int
	// hang is how long the dead destination hangs before it answers 503.
	hang time.Duration
	// answers is how long the others take to answer: long enough that slots are
	// what is short, and not this machine's time.
	answers time.Duration
}

func (c isolation) run(t *testing.T, g ground) {
	alone := 0.0
	if *long {
		alone = c.throughput(t, g, 0)
	}
	beside := c.throughput(t, g, c.dead)
	if !*long {
		return
	}
	t.Logf("healthy jobs a second: %.1f alone, %.1f beside the dead one, ratio %.3f", alone, beside, beside/alone)
	if beside < 0.95*alone {
		t.Errorf("a dead destination slows the others to %.3f", beside/alone)
	}
}

// throughput delivers the load beside dead jobs of the dead destination, which
// stays dead until the last healthy one is accepted, and gives the healthy jobs
// a second.
func (c isolation) throughput(t *testing.T, g ground, dead int) float64 {
	l := newLab(t, g, c.crew)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.answerDead(l, redoxsim.HangBeforeBody)
	var publishing sync.WaitGroup
	publishing.Go(func() { l.publish(ctx, c.load) })
	publishing.Go(func() {
		l.publish(ctx, load{name: "dead", jobs: dead, destinations: []string{deadDestination}, largest: 20_000})
	})
	publishing.Wait()

	started := time.Now()
	l.fleet.start()
	recovering := time.AfterFunc(c.hang, func() { c.answerDead(l, redoxsim.AnswerStatus) })
	defer recovering.Stop()
	waiting, enough := context.WithTimeout(ctx, patience+10*time.Duration(c.load.jobs)*time.Second)
	defer enough()
	if l.redox.sim.Await(waiting, func() bool { return l.accepted(false) >= c.load.jobs }) != nil {
		t.Errorf("beside a dead destination only %d of %d healthy jobs were accepted", l.accepted(false), c.load.jobs)
	}
	took := time.Since(started)
	if n := l.accepted(true); n != 0 {
		t.Errorf("the dead destination took %d messages: it was not dead", n)
	}
	rate := float64(c.load.jobs) / took.Seconds()
	l.measure("healthy jobs", "%d in %s, %.1f a second, beside %d dead ones", c.load.jobs, took.Round(time.Millisecond), rate, dead)
	recovering.Stop()
	l.redox.sim.ClearFaults()
	healed := time.Now()
	l.drained(ctx)
	l.measure("drained", "%s after the dead destination was well", time.Since(healed).Round(time.Millisecond))
	l.close(Rules{AllAccepted: true, Except: deadDestination, Term: c.crew.grace + patience})
	return rate
}

// answerDead lets the dead destination answer so, and the others slowly.
func (c isolation) answerDead(l *lab, action redoxsim.Action) {
	err := l.redox.sim.Replace(
		redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest, Destination: deadDestination}, Action: action},
		redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.DelayAnswer, Delay: c.answers},
	)
	if err != nil {
		l.t.Error(err)
	}
}

// accepted counts the messages Redox took for the dead destination, or for the
// others.
func (l *lab) accepted(dead bool) int {
	n := 0
	for _, m := range l.redox.sim.Messages() {
		if (m.Destination == deadDestination) == dead {
			n++
		}
	}
	return n
}

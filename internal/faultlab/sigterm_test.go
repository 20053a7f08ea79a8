package faultlab

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestSigterm is one rolling update after the other under load: every worker
// ends by itself with code 0, and nothing is sent twice.
func TestSigterm(t *testing.T) {
	onGrounds(t, "sigterm", 1, func(t *testing.T, g ground) {
		c := crew{workers: 3, slots: 8, laneSlots: 8, lease: sized(15*time.Second, 5*time.Second), grace: time.Minute, answer: time.Minute}
		l := newLab(t, g, c)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wait := redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.DelayAnswer, Delay: 200 * time.Millisecond}
		if err := l.redox.sim.Inject(wait); err != nil {
			t.Fatal(err)
		}
		l.fleet.start()
		of := load{name: "sigterm", jobs: jobs(sized(150, 5000)), destinations: destinations("hospital", 8), largest: 20_000, big: 50}
		var hands sync.WaitGroup
		hands.Go(func() { l.publish(ctx, of) })
		hands.Go(func() { l.replaceWorkers(ctx, sized(3, 300)) })
		l.published(ctx, of.jobs)
		l.drained(ctx)
		cancel()
		hands.Wait()
		l.drained(t.Context())
		l.close(Rules{AllAccepted: true, NoRepeats: true, Term: c.grace + patience})
	})
}

// replaceWorkers replaces one worker after the other, n of them at the most.
func (l *lab) replaceWorkers(ctx context.Context, n int) {
	for i := range n {
		if !pause(ctx, time.Second) {
			return
		}
		if err := l.fleet.places[i%len(l.fleet.places)].replace(); err != nil {
			l.t.Errorf("replacing a worker: %v", err)
			return
		}
	}
}

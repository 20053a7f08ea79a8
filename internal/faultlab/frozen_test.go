package faultlab

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestFrozen stops workers for longer than their lease, as a paused virtual
// machine is, and lets them go on: another has their jobs by then. What a woken
// worker still sends is in the table; it may repeat nothing unannounced.
func TestFrozen(t *testing.T) {
	onGrounds(t, "frozen", 1, func(t *testing.T, g ground) {
		c := crew{workers: 3, slots: 8, laneSlots: 8, lease: sized(15*time.Second, 3*time.Second), grace: 20 * time.Second, answer: sized(30*time.Second, 10*time.Second)}
		l := newLab(t, g, c)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// Answers take a while, so that messages are in flight at any moment.
		wait := redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.DelayAnswer, Delay: 300 * time.Millisecond}
		if err := l.redox.sim.Inject(wait); err != nil {
			t.Fatal(err)
		}
		l.fleet.start()
		l.freezeWorkers(ctx, sized(1, 12), load{
			name: "frozen", jobs: jobs(sized(150, 3000)), destinations: destinations("hospital", 8), largest: 20_000, big: 20,
		}, sized(2*c.lease, 3*c.lease))
		l.drained(ctx)
		l.close(Rules{AllAccepted: true, MayWake: !*long, Term: c.grace + patience})
		for _, id := range slices.Compact(l.books.Strays().Posts) {
			t.Logf("sent by a worker that had lost it:\n%s", l.books.Timeline(id))
		}
	})
}

// freezeWorkers publishes a load in n parts, and in the midst of each freezes a
// worker of chance.
func (l *lab) freezeWorkers(ctx context.Context, n int, of load, length time.Duration) {
	chance := l.random(3)
	for i := range n {
		part := of
		part.name, part.jobs = fmt.Sprintf("%s-%d", of.name, i), of.jobs/n
		enough := len(l.redox.sim.Messages()) + part.jobs/4
		var publishing sync.WaitGroup
		publishing.Go(func() { l.publish(ctx, part) })
		if _, err := l.redox.sim.AwaitMessages(ctx, enough); err != nil {
			l.t.Errorf("waiting for messages: %v", err)
			return
		}
		p := l.fleet.places[chance.IntN(len(l.fleet.places))]
		if err := p.freeze(func() { pause(ctx, length) }); err != nil {
			l.t.Errorf("freezing a worker: %v", err)
			return
		}
		publishing.Wait()
	}
}

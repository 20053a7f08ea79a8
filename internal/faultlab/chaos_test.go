package faultlab

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/redoxsim"
)

// TestChaos kills workers without end while Redox fails now and then, and kills
// the leader of the jobs stream.
func TestChaos(t *testing.T) {
	onGrounds(t, "chaos", 3, func(t *testing.T, g ground) {
		c := chaos{
			load: load{name: "chaos", jobs: jobs(sized(400, 5000)), destinations: destinations("hospital", 8),
				largest: sized(20_000, 200_000), big: 100},
			crew:        crew{workers: 3, slots: 16, laneSlots: 16, lease: sized(15*time.Second, 5*time.Second), grace: 20 * time.Second, answer: sized(15*time.Second, 5*time.Second)},
			kills:       sized(6, 1_000_000),
			leaderKills: leaderKills(sized(1, 2)),
		}
		c.run(t, g)
	})
}

type chaos struct {
	load load
	crew crew
	// kills is how many workers are killed at the most, one a second.
	kills, leaderKills int
}

func (c chaos) run(t *testing.T, g ground) {
	l := newLab(t, g, c.crew)
	l.misbehave()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hands sync.WaitGroup
	l.fleet.start()
	harmed, stop := context.WithCancel(ctx)
	defer stop()
	hands.Go(func() { l.publish(ctx, c.load) })
	hands.Go(func() { l.killWorkers(harmed, c.kills, time.Second) })
	hands.Go(func() { l.killLeaders(harmed, c.leaderKills, c.load.jobs) })
	l.published(ctx, c.load.jobs)
	well := l.drainedBut(ctx, onlyOrphans)
	stop()
	hands.Wait()
	if well {
		l.drained(ctx) // what the last harm left, and the orphans
	}
	l.close(Rules{Term: c.crew.grace + patience})
}

// misbehave lets Redox answer 2 % of its requests with a 5xx, and lose the
// answers to 1 % of the messages it takes.
func (l *lab) misbehave() {
	l.t.Helper()
	message, upload := redoxsim.Match{Kind: redoxsim.MessageRequest}, redoxsim.Match{Kind: redoxsim.UploadRequest}
	faults := []redoxsim.Fault{
		{Match: message, Action: redoxsim.CutAfterProcessing, Probability: 0.004},
		{Match: message, Action: redoxsim.StatusAfterProcessing, Status: 504, Probability: 0.004},
		{Match: message, Action: redoxsim.HangAfterProcessing, Probability: 0.002},
		{Match: message, Action: redoxsim.AnswerStatus, Status: 503, Probability: 0.02},
		{Match: upload, Action: redoxsim.StatusAfterBody, Status: 502, Probability: 0.02},
		{Match: upload, Action: redoxsim.CutAfterProcessing, Probability: 0.01},
	}
	for i := range faults {
		faults[i].Seed = l.ground.seed + uint64(i)
	}
	if err := l.redox.sim.Inject(faults...); err != nil {
		l.t.Fatal(err)
	}
}

// killWorkers kills a worker of chance each period, n times at the most.
func (l *lab) killWorkers(ctx context.Context, n int, period time.Duration) {
	chance := l.random(2)
	for range n {
		if !pause(ctx, period) {
			return
		}
		if err := l.fleet.places[chance.IntN(len(l.fleet.places))].kill(); err != nil {
			l.t.Errorf("killing a worker: %v", err)
			return
		}
	}
}

// killLeaders kills the leader of the jobs stream n times, evenly over the run.
func (l *lab) killLeaders(ctx context.Context, n, jobs int) {
	for i := range n {
		if l.redox.sim.Await(ctx, func() bool { return len(l.redox.sim.Messages()) >= jobs*(i+1)/(n+1) }) != nil {
			return
		}
		if err := l.killLeader(ctx, 3*time.Second); err != nil && ctx.Err() == nil {
			l.t.Errorf("killing a leader: %v", err)
			return
		}
	}
}

// published waits until n jobs are published.
func (l *lab) published(ctx context.Context, n int) {
	for pause(ctx, 20*time.Millisecond) {
		l.mu.Lock()
		have := len(l.books.Jobs)
		l.mu.Unlock()
		if have >= n {
			return
		}
	}
}

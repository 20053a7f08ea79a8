// Package worker takes jobs from their lanes, delivers them through the
// pipeline, and settles them: ledger, event, dead letter or schedule, and last
// the acknowledgement.
//
// It reaches no network package: the queue, the ledger and the pipeline are
// ports. What a copy of a job means and what becomes of a job that failed
// (internal/job), and which lane is asked next (lanes), are pure and tested as tables.
package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/worker/lanes"
)

// Settings govern a worker.
type Settings struct {
	// Name tells this worker from the others in logs and records.
	Name string
	// Prefix is the subject prefix; events name it as their source.
	Prefix string
	// Slots is how many jobs the worker has in hand at once.
	Slots int
	// LaneConcurrency is how many jobs of one lane the whole fleet works at once.
	LaneConcurrency int
	// Lease is how long the server waits for a sign of life about a job.
	Lease time.Duration
	// Grace is how long jobs in hand may take after the worker is told to stop.
	Grace  time.Duration
	Policy job.Policy
	// Backoff is how long a lane, or all taking, rests when what it needs fails.
	Backoff Backoff
	// Telemetry watches the worker; nil watches nothing.
	Telemetry Telemetry
}

// Worker delivers jobs until it is stopped.
type Worker struct {
	settings Settings
	queue    Queue
	runner   *runner
	status   *status
	log      *slog.Logger
}

// Queue is where jobs come from and where what became of them goes.
type Queue struct {
	Intake  Intake
	Outbox  Outbox
	Control Control
	Budget  Budget
	// Clock judges deadlines and times schedules; nil is this machine's own.
	Clock Clock
}

// New makes a Worker.
func New(s Settings, queue Queue, ledger Ledger, deliverer Deliverer, log *slog.Logger) *Worker {
	w := &Worker{settings: s, queue: queue, log: log, status: &status{asked: make(chan chan<- Look)}}
	w.runner = &runner{
		services: services{
			name: s.Name, prefix: s.Prefix, policy: s.Policy, ledger: ledger, outbox: queue.Outbox, deliverer: deliverer,
			runs: newRuns(), clock: queue.Clock, telemetry: s.Telemetry, now: time.Now, jitter: rand.Float64, log: log,
		},
		leases: newLeases(log, s.Lease, s.Telemetry), inFlight: newInFlight(), memory: newMemory(),
	}
	w.status.turned.Store(w.runner.services.now().UnixNano())
	return w
}

const (
	// lookPeriod is how often the lanes are listed: how soon the first job of a
	// destination never seen before is found.
	lookPeriod = 500 * time.Millisecond
	// shortWait bounds an ask that keeps slots; longWait one that keeps none.
	shortWait = 100 * time.Millisecond
	longWait  = 30 * time.Second
	// lastWords is how long, after the grace time, a job may take to write down what
	// is known of it: as long as an election. What is not written by then is for the
	// lease to end and for the ledger to tell.
	lastWords = 10 * time.Second
)

// Answers is how many answers an Intake for this many slots must be able to
// hold: each slot and each of the lanes can have a delivery and an end.
func Answers(slots int) int { return 2*slots + 4096 }

// Run works until ctx ends, then takes nothing new, lets the jobs in hand
// finish within the grace time, and gives the rest back. It returns when nothing
// is in hand any more: ten seconds after the grace time at the latest, whatever
// does not answer.
func (w *Worker) Run(ctx context.Context) {
	end, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	working, interrupt := context.WithCancel(end)
	defer interrupt()
	// Leases are renewed and states followed until no job is in hand any more.
	following, endFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer endFollowing()
	states := newLaneStates(end, w.queue.Control, w.log)
	var background sync.WaitGroup
	background.Go(func() { w.runner.leases.run(following, w.settings.Lease/3) })
	background.Go(func() { states.follow(following) })
	background.Go(func() { w.runner.services.runs.follow(following, w.queue.Control) })
	w.newLoop(states).run(ctx, working, interrupt, cut)
	endFollowing()
	background.Wait()
}

func (w *Worker) newLoop(states *laneStates) *loop {
	s := &w.runner.services
	return &loop{
		settings: w.settings, intake: w.queue.Intake, budget: &allowance{budget: w.queue.Budget, runs: s.runs},
		states: states, status: w.status, runner: w.runner, finished: make(chan ended), slow: make(chan wait),
		log: w.log, now: s.now, jitter: s.jitter,
		table: lanes.New(lanes.Settings{
			Worker: w.settings.Name, Slots: w.settings.Slots, Concurrency: w.settings.LaneConcurrency, Backoff: w.settings.Backoff, Spread: s.jitter(),
		}),
	}
}

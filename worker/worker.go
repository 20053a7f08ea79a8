// Package worker takes jobs from their lanes, delivers them through the
// pipeline, and settles them: ledger, event, dead letter or schedule, and last
// the acknowledgement.
//
// It reaches no network package: the queue, the ledger and the pipeline are
// ports. What a copy of a job means (admit), what becomes of a job that failed
// (decide) and which lane is asked next (lanes) are pure and tested as tables.
package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/schemas"
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
	Grace    time.Duration
	Patience Patience
	// Backoff is how long a lane, or all taking, rests when what it needs fails.
	Backoff Backoff
	// Telemetry watches the worker; nil watches nothing.
	Telemetry Telemetry
}

// Worker delivers jobs until it is stopped.
type Worker struct {
	name      string
	prefix    string
	settings  Settings
	patience  Patience
	intake    Intake
	outbox    Outbox
	ledger    Ledger
	control   Control
	budget    Budget
	clock     Clock
	deliverer Deliverer
	leases    *leases
	hands     *hands
	memory    *memory
	cancels   *cancels
	log       *slog.Logger
	now       func() time.Time
	jitter    func() float64
	state
}

// state is what others may ask a running worker.
type state struct {
	// turned is when the loop last turned, in Unix nanoseconds.
	turned atomic.Int64
	shut   atomic.Pointer[Shut]
	// asked brings a Look's question to the loop.
	asked chan chan<- Look
}

// Shut says why a worker takes no job at all, and until when.
type Shut struct {
	Reason schemas.Reason
	Until  time.Time
}

// Turned is when the worker's loop last turned, or when the worker was made. It
// turns twice a second at least.
func (s *state) Turned() time.Time { return time.Unix(0, s.turned.Load()) }

// Shut is nil while jobs are taken.
func (s *state) Shut() *Shut { return s.shut.Load() }

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
	cancels := newCancels()
	w := &Worker{
		name: s.Name, prefix: s.Prefix, settings: s, patience: s.Patience,
		intake: queue.Intake, outbox: queue.Outbox, control: queue.Control, budget: informed{queue.Budget, cancels}, ledger: ledger, deliverer: deliverer,
		clock: queue.Clock, leases: newLeases(log, s.Lease, s.Telemetry), hands: newHands(), memory: newMemory(), cancels: cancels, log: log, now: time.Now, jitter: rand.Float64,
		state: state{asked: make(chan chan<- Look)},
	}
	w.turned.Store(w.now().UnixNano())
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

// queueNow is the time by the queue's clock: what it decides stands, and this
// worker's own may be wrong by hours.
func (w *Worker) queueNow() (now time.Time, known bool) {
	if w.clock == nil {
		return w.now(), true
	}
	return w.clock.Now()
}

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
	renewing, endRenewing := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { w.leases.run(renewing, w.settings.Lease/3) })

	d := newDispatcher(w, end)
	following, endFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer endFollowing()
	background.Go(func() {
		w.control.Follow(following, func(s LaneState) {
			select {
			case d.heard <- s:
			case <-following.Done():
			}
		})
	})
	background.Go(func() { w.cancels.follow(following, w.control) })
	d.run(ctx, working)

	w.log.Info("stopping", "in_hand", d.inHand(), "grace", w.settings.Grace.String())
	stopped := make(chan struct{})
	background.Go(func() { w.intake.Stop(); close(stopped) })
	d.finish(interrupt, cut, stopped)
	d.crew.dismiss()
	endFollowing()
	endRenewing()
	background.Wait()
}

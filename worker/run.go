package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// services are what the run of a job needs of its worker.
type services struct {
	name, prefix string
	policy       job.Policy
	ledger       Ledger
	outbox       Outbox
	deliverer    Deliverer
	runs         *runs
	clock        Clock
	telemetry    Telemetry
	now          func() time.Time
	jitter       func() float64
	log          *slog.Logger
}

// queueNow is the time by the queue's clock: what it decides stands, and this
// worker's own may be wrong by hours.
func (s *services) queueNow() (now time.Time, known bool) {
	if s.clock == nil {
		return s.now(), true
	}
	return s.clock.Now()
}

// jobRun is the run of one copy of one job, from its bytes to its acknowledgement.
type jobRun struct {
	services *services
	delivery Delivery
	lease    *lease
	place    place
	report   report
	job      pipeline.Understood
	copy     job.Copy
	entry    Entry
	record   job.Record
	// before is why the attempt before this one did not end in acceptance.
	before *schemas.Reason
	// sent: the whole message has left, in this try.
	sent   bool
	result lanes.Result
}

// place is where a job stands in its worker.
type place struct {
	// pace is told of the job's waits.
	pace *pace
	slot *lanes.Slot
	// end is when a worker that stops writes nothing any more.
	end context.Context
}

// runner runs jobs.
type runner struct {
	services services
	leases   *leases
	inFlight *inFlight
	memory   *memory
}

// handle works on one delivery until it is settled or must be left to the
// lease. It never fails: what cannot be settled now comes back. It gives what
// the job met on its way.
func (n *runner) handle(ctx context.Context, d Delivery, at place) lanes.Result {
	log := n.services.log
	if !n.inFlight.take(d) {
		log.Info("a job came again that this worker still has in hand; it goes back for a moment", "sequence", d.Sequence())
		giveBack(log, d, job.LeaveAlone)
		return lanes.Result{}
	}
	defer n.inFlight.drop(d)
	lease := n.leases.hold(d)
	leave, ok := n.memory.take(ctx, d.Lane(), len(d.Data()))
	if !ok {
		lease.release()
		log.Info("a job found no room in memory beside those in hand; it goes back for a moment", "sequence", d.Sequence(), "bytes", len(d.Data()))
		giveBack(log, d, memoryPause)
		return lanes.Result{}
	}
	defer leave()
	r := &jobRun{services: &n.services, delivery: d, lease: lease, place: at, report: n.services.watchOf(d)}
	r.work(schemas.WithTrace(ctx, r.report.watch.Trace()))
	return r.result
}

// giveBack ends a lease, so that the copy is delivered again after a delay.
func giveBack(log *slog.Logger, d Delivery, delay time.Duration) {
	if err := d.GiveBack(delay); err != nil {
		log.Warn("a job could not be given back; it returns when its lease ends", "sequence", d.Sequence(), "error", err)
	}
}

func (r *jobRun) work(ctx context.Context) {
	defer r.ended()
	defer r.lease.release()
	defer r.awaitUploads()
	defer r.survive()
	r.run(ctx)
}

// run takes a job from its bytes to its acknowledgement:
//
//	understand → open (what does the copy mean?) → claim → precede → deliver → conclude → settle
func (r *jobRun) run(ctx context.Context) {
	refusal := r.understand()
	if r.job.ID == "" {
		r.buryNameless(ctx, fault.Of(refusal))
		return
	}
	kind, err := r.open(ctx)
	if f := fault.Of(err); f != nil && f.Kind == fault.UnknownOutcome {
		r.buryUnrecorded(ctx, f)
		return
	}
	if err != nil {
		r.redeliverLater(ctx, err)
		return
	}
	switch kind {
	case job.Replay:
		r.settle(ctx)
	case job.Stale:
		r.report.log.Info("an old copy of a job was dropped; a newer one carries it on", "job", r.job.ID)
		r.ack(ctx)
	case job.Duplicate, job.Concurrent, job.Reused:
		r.tellDuplicate(ctx, kind)
	case job.InDoubt:
		r.record.Adopt(r.copy)
		r.conclude(ctx, job.CutOff())
	default:
		r.try(ctx, kind, refusal)
	}
}

// try runs the job once: New, Resume, Next or Restart.
func (r *jobRun) try(ctx context.Context, kind job.CopyKind, refusal error) {
	err := r.claim(ctx, kind)
	if err == nil {
		refusal, err = r.refusal(ctx, refusal)
	}
	if err != nil {
		r.redeliverLater(ctx, err)
		return
	}
	if refusal != nil {
		r.conclude(ctx, fault.Of(refusal))
		return
	}
	waits, err := r.precede(ctx)
	if err != nil {
		r.redeliverLater(ctx, err)
		return
	}
	if waits != nil {
		r.conclude(ctx, waits)
		return
	}
	started := r.services.now()
	if err := r.deliver(ctx); err != nil {
		r.conclude(ctx, fault.Of(err))
		return
	}
	r.result = lanes.Result{Job: r.job.ID, Health: lanes.Healthy}
	r.report.decided(schemas.StatusAccepted)
	r.report.log.Info("accepted", "job", r.job.ID, "attempt", r.record.Attempt, "took", r.services.now().Sub(started).Round(time.Millisecond).String())
	r.settle(ctx)
}

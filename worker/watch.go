package worker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// The worker's own steps, beside the pipeline's: reading a job, asking the
// ledger what its copy means and what became of its predecessor, publishing what became of it (schedule or dead
// letter, and event), and the confirmed acknowledgement.
const (
	StepUnderstand pipeline.Step = "understand"
	StepAdmit      pipeline.Step = "admit"
	StepPrecede    pipeline.Step = "precede"
	StepSettle     pipeline.Step = "settle"
	StepAck        pipeline.Step = "ack"
)

// Telemetry watches what the worker does. Its methods return at once and may be
// called from anywhere.
type Telemetry interface {
	// Taken begins the watch of one copy of a job; from is the trace that the
	// copy came with, empty where there is none.
	Taken(lane schemas.Lane, from schemas.Trace, at time.Time) Watch
	// Leased tells of one round of renewals: leases renewed, those whose renewal
	// could not be sent, and those that ended without one.
	Leased(renewed, failed, lost int)
	// Panicked tells of a panic that was survived.
	Panicked()
}

// Watch is told of one copy of a job, by one goroutine.
type Watch interface {
	// Passed tells that a step has ended.
	Passed(stage pipeline.Stage)
	// Ended is the last call.
	Ended(end End)
	// Trace goes with all that is published of the job; empty is none.
	Trace() schemas.Trace
}

// End is what became of a copy of a job in the hands of this worker.
type End struct {
	// JobID is empty where none could be read, and Attempt 0.
	JobID   string
	Attempt int
	// Status is what this worker decided. It is empty for a copy that goes back
	// to its lane, which has a Fault, and for one whose end was decided before.
	Status schemas.Status
	// Fault is what the copy met, nil where nothing.
	Fault *fault.Fault
	// PossibleDuplicate says that the message may be at Redox a second time.
	PossibleDuplicate bool
	// Age is the time since the job was published, by the server's clock until
	// now by this one's.
	Age time.Duration
}

// report is how a job in hand is told of.
type report struct {
	watch Watch
	end   End
	// uploads holds the telling of the uploaded event, which goes on while the
	// message is sent; the next event waits for it.
	uploads chan error
	log     *slog.Logger
}

// watchOf begins the watch of a copy, with the log of its trace.
func (s *services) watchOf(d Delivery) report {
	watch, log := Watch(unwatched{d.Trace()}), s.log
	if s.telemetry != nil {
		watch = s.telemetry.Taken(d.Lane(), d.Trace(), s.now())
	}
	if id := watch.Trace().ID(); id != "" {
		log = log.With("trace_id", id)
	}
	return report{watch: watch, log: log}
}

// decided notes the status that this worker has written down.
func (r *report) decided(status schemas.Status) { r.end.Status = status }

// met notes the first fault of a copy.
func (r *report) met(f *fault.Fault) {
	if r.end.Fault == nil {
		r.end.Fault = f
	}
}

// unwatched hands on the trace that a job came with.
type unwatched struct{ trace schemas.Trace }

func (unwatched) Passed(pipeline.Stage)  {}
func (unwatched) Ended(End)              {}
func (u unwatched) Trace() schemas.Trace { return u.trace }

// ended tells what became of the copy.
func (r *jobRun) ended() {
	e := r.report.end
	e.JobID, e.Attempt, e.PossibleDuplicate = r.job.ID, r.record.Attempt, r.record.PossibleDuplicate
	published := r.record.Published
	if published.IsZero() {
		published = r.delivery.Stored()
	}
	e.Age = max(r.services.now().Sub(published), 0)
	r.report.watch.Ended(e)
}

// Look is what a worker has in hand at one moment.
type Look struct {
	// Slots are all slots, InHand those in use, and AwaitingAnswer the jobs that keep none.
	Slots, InHand, AwaitingAnswer int
	Lanes                         []LaneLook
}

// LaneLook is a lane as one worker sees it.
type LaneLook = lanes.View

// status is what others may ask a running worker.
type status struct {
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

// tell notes whether jobs are taken at all.
func (s *status) tell(table *lanes.Table) {
	var shut *Shut
	if reason, until, is := table.GateShut(); is {
		shut = &Shut{Reason: reason, Until: until}
	}
	s.shut.Store(shut)
}

// Turned is when the worker's loop last turned, or when the worker was made. It
// turns twice a second at least.
func (w *Worker) Turned() time.Time { return time.Unix(0, w.status.turned.Load()) }

// Shut is nil while jobs are taken.
func (w *Worker) Shut() *Shut { return w.status.shut.Load() }

// Look asks the worker's loop what it has in hand; ok is false when that does
// not answer before ctx ends.
func (w *Worker) Look(ctx context.Context) (look Look, ok bool) {
	reply := make(chan Look, 1)
	select {
	case w.status.asked <- reply:
	case <-ctx.Done():
		return Look{}, false
	}
	return <-reply, true
}

// look answers a Look.
func (l *loop) look(reply chan<- Look) {
	slots, yielded, awaitingBudget := l.table.InHand()
	reply <- Look{Slots: l.settings.Slots, InHand: slots, AwaitingAnswer: yielded - awaitingBudget, Lanes: l.table.Views()}
}

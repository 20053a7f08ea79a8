package worker

import (
	"context"
	"log/slog"
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

// telling is how a job in hand is told of.
type telling struct {
	watch   Watch
	outcome End
	// uploads holds the telling of the uploaded event, which goes on while the
	// message is sent; the next event waits for it.
	uploads chan error
}

// watchOf begins the watch of a copy, and gives the log of its trace.
func (w *Worker) watchOf(d Delivery) (watch Watch, log *slog.Logger) {
	watch = unwatched{d.Trace()}
	if w.settings.Telemetry != nil {
		watch = w.settings.Telemetry.Taken(d.Lane(), d.Trace(), w.now())
	}
	if id := watch.Trace().ID(); id != "" {
		return watch, w.log.With("trace_id", id)
	}
	return watch, w.log
}

// unwatched hands on the trace that a job came with.
type unwatched struct{ trace schemas.Trace }

func (unwatched) Passed(pipeline.Stage)  {}
func (unwatched) Ended(End)              {}
func (u unwatched) Trace() schemas.Trace { return u.trace }

// step runs one of the worker's own steps and tells of its end.
func (h *handling) step(step pipeline.Step, run func() error) error {
	began := h.now()
	err := run()
	h.watch.Passed(pipeline.Stage{Step: step, Began: began, Took: h.now().Sub(began), Err: err})
	return err
}

// Passed implements pipeline.Progress.
func (h *handling) Passed(stage pipeline.Stage) { h.watch.Passed(stage) }

// ended tells what became of the copy.
func (h *handling) ended() {
	e := &h.outcome
	e.JobID, e.Attempt, e.PossibleDuplicate = h.job.ID, h.record.Attempt, h.record.PossibleDuplicate
	published := h.record.Published
	if published.IsZero() {
		published = h.delivery.Stored()
	}
	e.Age = max(h.now().Sub(published), 0)
	h.watch.Ended(*e)
}

// decided notes the status that this worker has written down.
func (h *handling) decided(status schemas.Status) { h.outcome.Status = status }

// met notes the first fault of a copy.
func (h *handling) met(f *fault.Fault) {
	if h.outcome.Fault == nil {
		h.outcome.Fault = f
	}
}

// Look is what a worker has in hand at one moment.
type Look struct {
	// Slots are all slots, InHand those in use, and Parked the jobs that keep none.
	Slots, InHand, Parked int
	Lanes                 []LaneLook
}

// LaneLook is a lane as one worker sees it.
type LaneLook = lanes.View

// Look asks the worker's loop what it has in hand; ok is false when that does
// not answer before ctx ends.
func (w *Worker) Look(ctx context.Context) (look Look, ok bool) {
	reply := make(chan Look, 1)
	select {
	case w.asked <- reply:
	case <-ctx.Done():
		return Look{}, false
	}
	return <-reply, true
}

// lookAt answers a Look.
func (d *dispatcher) lookAt(reply chan<- Look) {
	slots, yielded, queued := d.table.InHand()
	reply <- Look{Slots: d.settings.Slots, InHand: slots, Parked: yielded - queued, Lanes: d.table.Views()}
}

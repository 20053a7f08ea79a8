package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker/lanes"
)

// handling is one copy of one job in the hands of this worker.
type handling struct {
	*Worker
	delivery Delivery
	lease    *lease
	job      schemas.Job
	digest   string
	page     Page
	record   job.Record
	// before is why the attempt before this one did not end in acceptance.
	before *schemas.Reason
	sights
	// sent tells whether it has, in this try.
	sent   bool
	result lanes.Result
	telling
	log *slog.Logger
}

// sights is what the dispatcher wants to know of a job it hands out, and says.
type sights struct {
	// pace is told of its waits.
	pace *pace
	slot *lanes.Slot
	// end is when a worker that stops writes nothing any more.
	end context.Context
}

// handle works on one delivery until it is settled or must be left to the
// lease. It never fails: what cannot be settled now comes back. It says what
// the job met on its way.
func (w *Worker) handle(ctx context.Context, d Delivery, s sights) lanes.Result {
	if !w.hands.take(d) {
		w.log.Info("a job came again that this worker still has in hand; it goes back for a moment", "sequence", d.Sequence())
		if err := d.GiveBack(leaveAlone); err != nil {
			w.log.Warn("a job could not be given back; it returns when its lease ends", "sequence", d.Sequence(), "error", err)
		}
		return lanes.Result{}
	}
	defer w.hands.drop(d)
	lease := w.leases.hold(d)
	leave, ok := w.memory.take(ctx, d.Lane(), len(d.Data()))
	if !ok {
		lease.release()
		w.log.Info("a job found no room in memory beside those in hand; it goes back for a moment", "sequence", d.Sequence(), "bytes", len(d.Data()))
		if err := d.GiveBack(memoryPause); err != nil {
			w.log.Warn("a job could not be given back; it returns when its lease ends", "sequence", d.Sequence(), "error", err)
		}
		return lanes.Result{}
	}
	defer leave()
	h := &handling{Worker: w, delivery: d, lease: lease, digest: digestOf(d.Data()), sights: s}
	h.watch, h.log = w.watchOf(d)
	h.work(schemas.WithTrace(ctx, h.watch.Trace()))
	return h.result
}

func (h *handling) work(ctx context.Context) {
	defer h.ended()
	defer h.lease.release()
	defer h.awaitUploads()
	defer h.survive()
	h.run(ctx)
}

// leaveAlone is the pause before a job is tried again that could not be settled.
const leaveAlone = 10 * time.Second

func (h *handling) run(ctx context.Context) {
	job, refusal := h.understand()
	h.job = job
	if job.ID == "" {
		h.buryNameless(ctx, fault.Of(refusal))
		return
	}
	var entry admission
	err := h.step(StepAdmit, func() (err error) {
		entry, err = h.open(ctx)
		return err
	})
	if f := fault.Of(err); f != nil {
		if f.Kind == fault.UnknownOutcome {
			h.buryUnrecorded(ctx, f)
			return
		}
		h.setAside(ctx, err)
		return
	}
	h.enter(ctx, entry, refusal)
}

// try runs the job once and concludes it.
func (h *handling) try(ctx context.Context, refusal error) {
	if now, _ := h.queueNow(); refusal == nil && now.After(h.job.Deadline()) {
		refusal = overdue(h.job, h.before)
	}
	if refusal != nil {
		h.conclude(ctx, fault.Of(refusal))
		return
	}
	if !h.precede(ctx) {
		return
	}
	started := h.now()
	err := h.deliver(ctx)
	if err == nil {
		h.result = lanes.Result{Job: h.job.ID, Health: lanes.Healthy}
		h.decided(schemas.StatusAccepted)
		h.log.Info("accepted", "job", h.job.ID, "attempt", h.record.Attempt, "took", h.now().Sub(started).Round(time.Millisecond).String())
		h.settle(ctx)
		return
	}
	h.conclude(ctx, fault.Of(err))
}

// Save implements pipeline.Journal: every write of a record names its owner.
func (h *handling) Save(ctx context.Context, record job.Record) error {
	ctx, cancel := h.untilEnd(ctx)
	defer cancel()
	if record.Phase == job.Sending {
		unwanted, err := h.runCancelled(ctx)
		if err != nil {
			return err
		}
		if unwanted {
			return cancelled()
		}
	}
	record.Owner, record.UpdatedAt = h.name, h.now().UTC()
	return h.page.Save(ctx, record)
}

func (h *handling) save(ctx context.Context) error { return h.Save(ctx, h.record) }

// Owned implements pipeline.Journal.
func (h *handling) Owned() error {
	if h.lease.alive() {
		return nil
	}
	return &fault.Fault{Kind: fault.Superseded, Scope: fault.Job, Code: "lease_lost", Text: "the lease of the job ended: another worker may have it"}
}

// Queued implements pipeline.Progress.
func (h *handling) Queued() { h.pace.queued() }

// Admitted implements pipeline.Progress.
func (h *handling) Admitted() { h.pace.admitted() }

// Waiting implements pipeline.Progress.
func (h *handling) Waiting() { h.pace.begin(lanes.ForBytes) }

// Moved implements pipeline.Progress.
func (h *handling) Moved(bytes int) { h.pace.moved(bytes) }

// Resumed implements pipeline.Progress.
func (h *handling) Resumed() { h.pace.resume() }

// Repeats implements pipeline.Progress.
func (h *handling) Repeats() bool { return h.slot.Repeats }

// Left implements pipeline.Progress.
func (h *handling) Left() {
	h.sent = true
	h.pace.begin(lanes.ForAnswer)
}

// conclude decides what becomes of a job that was not accepted, writes it down,
// and settles it.
func (h *handling) conclude(ctx context.Context, f *fault.Fault) {
	h.result = resultOf(h.job.ID, f, h.sent, h.returning())
	h.met(f)
	if f.Kind == fault.Superseded || f.Scope == fault.Ledger {
		h.setAside(ctx, f)
		return
	}
	if f.Kind == fault.Interrupted && ctx.Err() == nil {
		// Nobody stops this worker: something else ended a step. Given back at
		// once, the job would go round without a pause.
		passing := *f
		passing.Kind = fault.Retryable
		f = &passing
	}
	if f.Kind == fault.UnknownOutcome && ctx.Err() != nil {
		// This process is ending. The ledger says "sending": whoever takes the
		// job next decides about the unknown outcome.
		h.giveBack(0)
		return
	}
	if f.Kind == fault.UnknownOutcome {
		h.record.Doubts++
	}
	unwanted, err := h.runCancelled(ctx)
	if err != nil {
		h.setAside(ctx, err)
		return
	}
	if f.Own && !f.Refused {
		h.suspect(f.Code)
	}
	now, _ := h.queueNow()
	out := decide(f, h.trial(), h.job.Deadline(), now, h.patience, h.jitter())
	doubted := h.record.PossibleDuplicate || h.record.Doubts > 0
	if unwanted {
		out = withdrawn(out, doubted)
	}
	if doubted {
		out = undecided(out)
	}
	h.log.Warn("not accepted", "job", h.job.ID, "attempt", h.record.Attempt, "outcome", out.phase,
		"kind", f.Kind, "scope", f.Scope, "code", f.Code, "path", f.Path, "text", f.Text, "probe", h.slot.Probe)
	h.record.Phase = out.phase
	h.record.PossibleDuplicate = h.record.PossibleDuplicate || out.possibleDuplicate
	h.record.Released = out.phase == job.Working
	if out.spared {
		h.record.Spared++
	}
	if out.phase != job.Working {
		h.record.Reason, h.record.NextAttemptAt = &out.reason, out.at
	}
	settling, cancel := h.outlive(ctx)
	defer cancel()
	if err := h.save(settling); err != nil {
		h.setAside(ctx, err)
		return
	}
	if out.phase == job.Working {
		h.giveBack(out.pause)
		return
	}
	h.decided(statusOf(out.phase))
	h.settle(ctx)
}

// returning reports whether the copy was brought back by the job's own schedule,
// after an attempt that failed.
func (h *handling) returning() bool { return h.job.ID != "" && h.scheduled() > 0 }

// suspect writes into the record that the job met a fault that may be this
// worker's own. What another worker met stays as it is.
func (h *handling) suspect(code string) {
	s := h.record.Suspicion
	if s != nil && s.Code == code && s.Worker != h.name {
		return
	}
	times := 1
	if s != nil && s.Code == code {
		times += s.Times
	}
	h.record.Suspicion = &job.Suspicion{Code: code, Worker: h.name, Times: times}
}

func (h *handling) trial() trial {
	s := h.record.Suspicion
	return trial{
		attempt: h.record.Attempt, doubts: h.record.Doubts, spared: h.record.Spared, probe: h.slot.Probe, suspect: h.slot.Suspect,
		confirmed: s != nil && (s.Worker != h.name || s.Times >= confirmedAfter),
	}
}

// setAside leaves a job that cannot be worked on now. One that belongs to
// another worker is not touched at all.
func (h *handling) setAside(ctx context.Context, err error) {
	f := fault.Of(err)
	h.met(f)
	if f.Scope == fault.Ledger {
		h.result = resultOf(h.job.ID, f, h.sent, h.returning())
	}
	if f.Kind == fault.Superseded {
		h.log.Warn("stepped back from a job that another worker owns", "job", h.job.ID)
		return
	}
	h.handOver(ctx)
	if ctx.Err() != nil {
		h.giveBack(0)
		return
	}
	h.log.Error("a job was set aside and will be taken again", "job", h.job.ID, "code", f.Code, "text", f.Text)
	h.giveBack(leaveAlone)
}

// handOver tries once to say in the record that this worker lets go of the job
// with a word: one that is only set aside was not abandoned.
func (h *handling) handOver(ctx context.Context) {
	if h.page == nil {
		return
	}
	record := h.page.Record()
	if record.Phase != job.Working || record.Released || record.Owner != h.name {
		return
	}
	record.Released = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	_ = h.Save(ctx, record) // the ledger may still be away; the count bears some
}

// handOverTime bounds the last word about a job that is set aside.
const handOverTime = 2 * time.Second

func (h *handling) giveBack(delay time.Duration) {
	h.lease.release()
	if err := h.delivery.GiveBack(delay); err != nil {
		h.log.Warn("a job could not be given back; it returns when its lease ends", "job", h.job.ID, "error", err)
	}
}

// buryNameless ends a message in which not even an id can be read: a dead
// letter holds it as it came, and an event tells of it under a name made of its
// sequence.
func (h *handling) buryNameless(ctx context.Context, f *fault.Fault) {
	settling, cancel := h.outlive(ctx)
	defer cancel()
	h.log.Warn("a message that names no job goes to the dead letters", "sequence", h.delivery.Sequence(), "code", f.Code, "path", f.Path, "text", f.Text)
	reason := reasonOf(f)
	if err := h.bury(settling, schemas.StatusFailed, reason); err != nil {
		h.setAside(ctx, err)
		return
	}
	h.met(f)
	h.decided(schemas.StatusFailed)
	h.job.ID = schemas.UnreadableID(h.delivery.Sequence())
	if err := h.tell(settling, schemas.StatusFailed, &reason); err != nil {
		h.setAside(ctx, err)
		return
	}
	h.ack(settling)
}

// buryUnrecorded ends a copy of a job whose record is there and cannot be read: a
// dead letter holds it, and an event tells of it. The record stays as it is. Other
// jobs of the lane would not meet the same.
func (h *handling) buryUnrecorded(ctx context.Context, f *fault.Fault) {
	settling, cancel := h.outlive(ctx)
	defer cancel()
	h.log.Error("the record of a job cannot be read; the job goes to the dead letters", "job", h.job.ID, "code", f.Code, "text", f.Text)
	h.met(f)
	reason := reasonOf(f)
	h.record = job.Record{Attempt: max(h.scheduled(), 1)}
	err := h.bury(settling, schemas.StatusUnknown, reason)
	if err == nil {
		err = h.tell(settling, schemas.StatusUnknown, &reason)
	}
	if err != nil {
		h.setAside(ctx, err)
		return
	}
	h.decided(schemas.StatusUnknown)
	h.ack(settling)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

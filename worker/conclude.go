package worker

import (
	"context"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
)

// conclude has it decided what becomes of a job that was not accepted, writes that
// down, and settles the job.
func (r *jobRun) conclude(ctx context.Context, f *fault.Fault) {
	r.result = resultOf(r.job.ID, f, r.sent, r.returning())
	r.report.met(f)
	r.record.Meet(f, r.services.name)
	now, _ := r.services.queueNow()
	r.carryOut(ctx, f, job.Decide(r.situation(ctx, f), now, r.services.policy))
}

func (r *jobRun) situation(ctx context.Context, f *fault.Fault) job.Situation {
	s := r.record.Situation(f, r.services.name)
	s.Probe, s.Suspect = r.place.slot.Probe, r.place.slot.Suspect
	s.Stopping = ctx.Err() != nil
	s.Run = r.backfillRun(ctx)
	s.Deadline, s.Jitter = r.job.Deadline(), r.services.jitter()
	return s
}

// returning reports whether the copy was brought back by the job's own schedule,
// after an attempt that failed.
func (r *jobRun) returning() bool { return r.copy.Attempt > 0 }

func (r *jobRun) carryOut(ctx context.Context, f *fault.Fault, out job.Outcome) {
	if !r.record.Apply(out) {
		r.leave(ctx, out)
		return
	}
	if _, waits := out.(job.PutOff); waits {
		r.report.log.Info("put off until the job that it comes after is accepted", "job", r.job.ID, "attempt", r.record.Attempt+1)
	} else {
		r.report.log.Warn("not accepted", "job", r.job.ID, "attempt", r.record.Attempt, "outcome", r.record.Phase,
			"kind", f.Kind, "scope", f.Scope, "code", f.Code, "path", f.Path, "text", f.Text, "probe", r.place.slot.Probe)
	}
	settling, cancel := r.outlive(ctx)
	defer cancel()
	if err := r.save(settling); err != nil {
		r.redeliverLater(ctx, err)
		return
	}
	switch o := out.(type) {
	case job.GiveBack:
		r.giveBack(0)
	case job.Defer:
		r.giveBack(o.After)
	default:
		if r.record.Told() {
			r.report.decided(r.record.Phase.Status())
		}
		r.settle(ctx)
	}
}

// redeliverLater leaves a job of which nothing can be written now.
func (r *jobRun) redeliverLater(ctx context.Context, err error) {
	f := fault.Of(err)
	r.report.met(f)
	r.leave(ctx, job.Leave(f, ctx.Err() != nil))
}

// leave carries out an outcome that leaves the record as it is: StepBack or SetAside.
func (r *jobRun) leave(ctx context.Context, out job.Outcome) {
	aside, ok := out.(job.RedeliverLater)
	if !ok {
		r.report.log.Warn("stepped back from a job that another worker owns", "job", r.job.ID)
		return
	}
	if f := aside.Because; f.Scope == fault.Ledger {
		r.result = resultOf(r.job.ID, f, r.sent, r.returning())
	}
	r.handOver(ctx)
	if aside.After > 0 {
		r.report.log.Error("a job was set aside and will be taken again", "job", r.job.ID, "code", aside.Because.Code, "text", aside.Because.Text)
	}
	r.giveBack(aside.After)
}

// handOverTime bounds the last word about a job that is set aside.
const handOverTime = 2 * time.Second

// handOver tries once to say in the record that this worker lets go of the job
// with a word: one that is only set aside was not abandoned.
func (r *jobRun) handOver(ctx context.Context) {
	if r.entry == nil {
		return
	}
	record := r.entry.Record()
	if record.Phase != job.Working || record.Released || record.Owner != r.services.name {
		return
	}
	record.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	_ = r.Save(ctx, record) // the ledger may still be away; the count bears some
}

func (r *jobRun) giveBack(delay time.Duration) {
	r.lease.release()
	giveBack(r.report.log, r.delivery, delay)
}

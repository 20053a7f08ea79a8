package job

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Situation is everything that bears on what becomes of a job after a try that did
// not end in acceptance.
type Situation struct {
	// Fault is what the try met.
	Fault   *fault.Fault
	Attempt int
	// UnknownSends counts the sendings of unknown outcome, this one included, and
	// Deferrals how often the attempt was not ended for a fault like this.
	UnknownSends, Deferrals int
	// MayBeThere: a message of the job may have been taken, in this try or before.
	MayBeThere bool
	// Confirmed: another worker met the fault too, or this one did often enough.
	Confirmed bool
	// Probe: the job was taken to find out whether others may follow. Suspect is the
	// code of the refusals that the probe is to find out about, empty for none.
	Probe   bool
	Suspect string
	// Stopping: this worker ends.
	Stopping bool
	Run      Run
	Deadline time.Time
	// Jitter is in [0,1).
	Jitter float64
}

// Run is what is known of the backfill run of a job. The zero Run is one that goes
// on, or none.
type Run struct {
	Cancelled bool
	// Unknown is why it could not be learned.
	Unknown *fault.Fault
}

const (
	// mostUnknownSends is how often a message is sent although an earlier sending may
	// have been taken. A receiver that takes every message and loses every answer
	// would otherwise get one copy per attempt until the job's deadline.
	mostUnknownSends = 3
	// deferral is how long a job that is deferred stays away, at least: a breaker
	// needs a moment to open.
	deferral = time.Second
	// LeaveAlone is the pause before a job is taken again that could not be worked on.
	LeaveAlone = 10 * time.Second
)

// Decide says what becomes of a job. It has an Outcome for every Situation.
func Decide(s Situation, now time.Time, p Policy) Outcome {
	f := s.Fault
	switch {
	case f.Kind == fault.Superseded || f.Scope == fault.Ledger:
		return Leave(f, s.Stopping)
	case f.Kind == fault.UnknownOutcome && s.Stopping:
		// The ledger says "sending": the worker that takes the job next decides.
		return Leave(f, true)
	case s.Run.Unknown != nil:
		return Leave(s.Run.Unknown, s.Stopping)
	}
	return s.held(s.withdrawn(s.judge(now, p)))
}

// Leave is the Outcome where nothing can be written about a job.
func Leave(f *fault.Fault, stopping bool) Outcome {
	switch {
	case f.Kind == fault.Superseded:
		return StepBack{}
	case stopping:
		return RedeliverLater{Because: f}
	}
	return RedeliverLater{After: LeaveAlone, Because: f}
}

// judge decides by the fault alone.
func (s Situation) judge(now time.Time, p Policy) Outcome {
	f, left := s.Fault, s.Deadline.Sub(now)
	reason := ReasonOf(f)
	// The last try starts a little before the deadline, since schedules fire on
	// whole seconds, rounded up, and a job taken after it is not tried.
	late, mayRepeat := left < p.First/2, false
	switch f.Kind {
	case fault.Interrupted:
		if s.Stopping {
			return GiveBack{}
		}
		// Something other than this worker's end has ended a step. Given back at
		// once, the job would go round without a pause.
		reason.Kind = string(fault.Retryable)
	case fault.Permanent, fault.Poison:
		if late || !s.doubtful() {
			return Fail{reason}
		}
		reason.Kind = string(fault.Retryable)
	case fault.UnknownOutcome:
		// "A message answered with 2xx must never be sent again" (Redox docs).
		if late || p.OnUnknown == HoldUnknown || f.Acknowledged || s.UnknownSends > mostUnknownSends {
			return Hold{reason}
		}
		mayRepeat = true
	case fault.Retryable, fault.Superseded:
	}
	switch {
	case late:
		return Fail{schemas.Reason{Kind: string(fault.Permanent), Code: codeExpired, Path: f.Path,
			Text: "the job was not accepted before expires_at; the last reason was " + f.Code}}
	case s.deferred(p):
		return Defer{After: deferral + time.Duration(s.Jitter*float64(deferral))}
	case f.Code == CodePredecessorOpen:
		return PutOff{now.Add(min(f.RetryAfter, left-p.First/4)), reason}
	}
	wait := max(p.wait(s.Attempt, s.Jitter), f.RetryAfter)
	return RetryAt{now.Add(min(wait, left-p.First/4)), reason, mayRepeat}
}

// deferred reports whether a fault does not end the attempt. What is refused because
// too much was sent, by Redox or by the deployment's own budget, is no job's doing,
// however often. A fault of a destination or a store may be the job's own: in its lane
// it would be the first to be taken again, before jobs that may do better.
func (s Situation) deferred(p Policy) bool {
	f := s.Fault
	if f.Kind != fault.Retryable && f.Kind != fault.Interrupted || f.Scope == fault.Job {
		return false
	}
	return f.Code == fault.CodeRateLimited || f.Code == fault.CodeThrottled || f.Scope == fault.Redox && !s.Probe && s.Deferrals < p.Deferrals
}

// doubtful reports whether a final fault may not be the job's: it is what a probe
// was sent to find out about, or may be this worker's own.
func (s Situation) doubtful() bool {
	f := s.Fault
	return f.Kind == fault.Permanent && (s.Suspect != "" && s.Suspect == f.Code || f.Own && !f.Refused && !s.Confirmed)
}

// withdrawn is what becomes of a job of a cancelled run in place of out. What has
// ended by itself stays as it is. A job whose message may have been taken must not
// end as one that was not sent.
func (s Situation) withdrawn(out Outcome) Outcome {
	if !s.Run.Cancelled {
		return out
	}
	reason := ReasonOf(s.Fault)
	switch o := out.(type) {
	case Hold:
		return out
	case Fail:
		if o.Reason.Code != CodeRunCancelled {
			return out
		}
	}
	if !s.MayBeThere {
		return Cancel{ReasonOf(RunCancelled())}
	}
	if reason.Kind != string(fault.UnknownOutcome) {
		reason = schemas.Reason{Kind: string(fault.UnknownOutcome), Code: CodeRunCancelled,
			Text: "an operator has cancelled the backfill run of the job; its message is not sent again, and an earlier sending may have been taken"}
	}
	return Hold{reason}
}

// held is the end of a job of which an earlier sending may have been taken: whatever
// ended it since, no event may say that Redox does not have its message.
func (s Situation) held(out Outcome) Outcome {
	failed, ok := out.(Fail)
	if !ok || !s.MayBeThere {
		return out
	}
	reason := failed.Reason
	reason.Kind = string(fault.UnknownOutcome)
	reason.Text = "the job is not tried any more (" + reason.Code + "), and an earlier sending of its message may have been taken"
	return Hold{reason}
}

// Situation is what the record says of a job that met a fault, for Decide. The rest
// of it is not in the record.
func (r *Record) Situation(f *fault.Fault, worker string) Situation {
	s := r.Suspicion
	return Situation{
		Fault: f, Attempt: r.Attempt, UnknownSends: r.UnknownSends, Deferrals: r.Deferrals,
		MayBeThere: r.PossibleDuplicate || r.UnknownSends > 0,
		Confirmed:  s != nil && (s.Worker != worker || s.Times >= confirmedAfter),
	}
}

package worker

import (
	"math"
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/job"
	"github.com/chartpost/chartpost/pipeline"
	"github.com/chartpost/chartpost/schemas"
)

// OnUnknown is what becomes of a job whose message may or may not be at Redox.
type OnUnknown string

const (
	// Resend sends again, with the same identifiers, and says so.
	Resend OnUnknown = "resend"
	// Hold ends the job as unknown; a person or a check decides.
	Hold OnUnknown = "hold"
)

// Patience says how long failing jobs are tried.
type Patience struct {
	OnUnknown OnUnknown
	// First and Longest bound the wait before the next attempt: it doubles from
	// First with every attempt, up to Longest, and is drawn from the upper half
	// of that range, so that jobs that failed together do not return together.
	First, Longest time.Duration
	// Unseen is how long a job waits for a predecessor that the ledger does not know.
	Unseen time.Duration
	// Spare is how often in one attempt a fault that is not the job's own is
	// borne without ending the attempt: the job goes back to its lane, and it is
	// for the lane's breaker to find out whether others meet the same.
	Spare int
}

// trial is the try that met a fault.
type trial struct {
	attempt int
	// doubts counts the sendings, this one included, of unknown outcome, and
	// spared how often the attempt was not ended for a fault like this.
	doubts, spared int
	// probe: the job was taken to find out whether others may follow. It makes
	// room for another, so that no job of its own fault keeps a lane shut.
	probe bool
	// suspect is the code of the refusals that a probe is to find out about: it does
	// not end for them.
	suspect string
	// confirmed: another worker met the fault too, or this one did often enough.
	confirmed bool
}

// fate is what becomes of a job after a try that did not end in acceptance.
type fate struct {
	// phase is what the ledger is to say: Working (give the copy back), Waiting,
	// Failed or Held.
	phase  job.Phase
	reason schemas.Reason
	// at is when a Waiting job comes back.
	at time.Time
	// spared: the job goes back after pause, and its attempt goes on.
	spared bool
	pause  time.Duration
	// possibleDuplicate says that the next sending may be a second one.
	possibleDuplicate bool
}

// mostDoubts is how often a message is sent although an earlier sending may have
// been taken. A receiver that takes every message and loses every answer would
// otherwise get one copy an attempt until the job's deadline.
const mostDoubts = 3

// sparePause is how long a job that is spared stays away: a breaker needs a
// moment to open.
const sparePause = time.Second

// decide says what becomes of a job that met f in the try t. jitter is
// in [0,1). Superseded faults are not for it: they are somebody else's job.
func decide(f *fault.Fault, t trial, deadline, now time.Time, p Patience, jitter float64) fate {
	out := fate{reason: reasonOf(f)}
	switch f.Kind {
	case fault.Interrupted:
		out.phase = job.Working
		return out
	case fault.Permanent, fault.Poison:
		if !doubtful(f, t) || deadline.Sub(now) < p.First/2 {
			out.phase = job.Failed
			return out
		}
		out.reason.Kind = string(fault.Retryable)
	case fault.UnknownOutcome:
		// "A message answered with 2xx must never be sent again" (Redox docs).
		if p.OnUnknown == Hold || f.Acknowledged || t.doubts > mostDoubts {
			out.phase = job.Held
			return out
		}
		out.possibleDuplicate = true
	}
	wait := max(p.wait(t.attempt, jitter), f.RetryAfter)
	// The last try starts a little before the deadline, since schedules fire on
	// whole seconds, rounded up, and a job taken after it is not tried.
	left := deadline.Sub(now)
	if left < p.First/2 {
		return expired(out, f)
	}
	if p.spares(f, t) {
		out.phase, out.spared = job.Working, true
		out.pause = sparePause + time.Duration(jitter*float64(sparePause))
		return out
	}
	out.phase, out.at = job.Waiting, now.Add(min(wait, left-p.First/4))
	return out
}

// spares tells whether a fault does not end the attempt. What is refused because
// too much was sent, by Redox or by our own budget, is no job's doing, however
// often. A fault of a destination or a store may be the job's own: in its lane it
// would be the first to be taken again, before jobs that may do better.
func (p Patience) spares(f *fault.Fault, t trial) bool {
	if f.Kind != fault.Retryable || f.Scope == fault.Job {
		return false
	}
	return f.Code == pipeline.CodeRateLimited || f.Code == pipeline.CodeThrottled || f.Scope == fault.Redox && !t.probe && t.spared < p.Spare
}

// doubtful reports whether a final fault may not be the job's: it is what a probe
// was sent to find out about, or may be this worker's own.
func doubtful(f *fault.Fault, t trial) bool {
	return f.Kind == fault.Permanent && (t.suspect != "" && t.suspect == f.Code || f.Own && !f.Refused && !t.confirmed)
}

// confirmedAfter is how often one worker alone must meet a fault that may be its
// own before the job ends for it.
const confirmedAfter = 3

// expired ends a job that has no time left. What nobody knows stays unknown.
func expired(out fate, f *fault.Fault) fate {
	if f.Kind == fault.UnknownOutcome {
		out.phase, out.possibleDuplicate = job.Held, false
		return out
	}
	out.phase = job.Failed
	out.reason = schemas.Reason{Kind: string(fault.Permanent), Code: codeExpired, Path: f.Path,
		Text: "the job was not accepted before expires_at; the last reason was " + f.Code}
	return out
}

// undecided is the end of a job of which an earlier sending may have been taken:
// whatever ended it since, nobody may say that Redox does not have its message.
func undecided(out fate) fate {
	if out.phase == job.Failed {
		out.phase = job.Held
		out.reason.Kind = string(fault.UnknownOutcome)
		out.reason.Text = "the job is not tried any more (" + out.reason.Code + "), and an earlier sending of its message may have been taken"
	}
	return out
}

const codeExpired = "expired"

func (p Patience) wait(attempt int, jitter float64) time.Duration {
	full := float64(p.First) * math.Pow(2, float64(max(attempt, 1)-1))
	full = min(full, float64(p.Longest))
	return time.Duration(full/2 + jitter*full/2)
}

func reasonOf(f *fault.Fault) schemas.Reason {
	return schemas.Reason{Kind: string(f.Kind), Code: f.Code, Text: f.Text, Path: f.Path}
}

// overdue is the fault of a job that was taken after its deadline. It names the member
// that set the deadline, and what the job waited for, if that is known.
func overdue(job schemas.Job, before *schemas.Reason) *fault.Fault {
	f := &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: codeExpired, Path: "/expires_at",
		Text: "the job was taken after its expires_at, and not tried any more"}
	if job.ExpiresAt.IsZero() {
		f.Path, f.Text = "/requested_at", "the job has no expires_at, so it expired 72 h after its requested_at; it was taken later, and not tried any more"
	}
	if before != nil {
		f.Text += "; the last reason was " + before.Code
	}
	return f
}

// mostAbandoned is how often a job may be found in hands that let it fall: what
// ends every worker that touches it must not go round for ever. JetStream's own
// count would do for that only if being given back did not count too.
const mostAbandoned = 10

// abandoned is the fault of a job that workers keep dying on.
func abandoned() *fault.Fault {
	return &fault.Fault{Kind: fault.Permanent, Scope: fault.Job, Code: "abandoned",
		Text: "worker after worker ended without a word while it had the job in hand; its message was not sent, and it is not tried any more"}
}

// cutOff is the fault of a job that a worker left while sending.
func cutOff() *fault.Fault {
	return &fault.Fault{Kind: fault.UnknownOutcome, Scope: fault.Job, Code: "interrupted_while_sending",
		Text: "a worker stopped between sending the message and recording the answer"}
}

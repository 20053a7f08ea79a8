package job

import (
	"time"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/schemas"
)

// Fresh is the record of a job that the ledger does not know.
func Fresh(c Copy, owner string, at time.Time) Record {
	r := Record{Attempt: max(c.Attempt, 1), Owner: owner, UpdatedAt: at.UTC()}
	r.move(Working)
	r.take(c)
	return r
}

// Remembered is the record of a job that has a dead letter and no record any more.
// possibleDuplicate says that Redox may have the message.
func Remembered(status schemas.Status, digest string, attempt int, possibleDuplicate bool) Record {
	r := Record{Digest: digest, Attempt: attempt, PossibleDuplicate: possibleDuplicate}
	if status == schemas.StatusFailed {
		r.move(Failed)
	} else {
		r.move(Held)
	}
	return r
}

// WrittenBy gives the record with who writes it, and when.
func (r Record) WrittenBy(owner string, at time.Time) Record {
	r.Owner, r.UpdatedAt = owner, at.UTC()
	return r
}

// Because gives the record with a reason.
func (r Record) Because(reason schemas.Reason) Record {
	r.Reason = &reason
	return r
}

// Claim makes the copy the recorded one, of a try that begins: Resume, Next or
// Restart.
func (r *Record) Claim(kind CopyKind, c Copy) {
	if kind == Next || kind == Restart {
		// A schedule's own number is never behind, or its successor would be
		// dropped as a repeat of it.
		r.Attempt = max(r.Attempt+1, r.scheduled(c))
		r.Deferrals, r.Abandoned = 0, 0
	}
	if kind == Resume && !r.Released {
		r.Abandoned++
	}
	r.Released = false
	if kind == Restart || r.Digest != c.Digest {
		// A person may have fixed the file or the job in between.
		r.PossibleDuplicate = r.PossibleDuplicate || r.Phase == Held
		r.forget()
	}
	switch {
	case kind == Restart:
		r.Published = time.Time{}
	case r.Published.IsZero() && !r.Stored.Equal(c.Stored):
		r.Published = r.Stored
	}
	r.move(Working)
	r.Reason, r.NextAttemptAt, r.Resent = nil, time.Time{}, time.Time{}
	r.take(c)
}

// Adopt makes the copy the recorded one of a try that was cut off while sending, and
// is now decided about.
func (r *Record) Adopt(c Copy) {
	r.Attempt = max(r.Attempt, r.scheduled(c))
	if r.Digest != c.Digest {
		r.forget()
	}
	r.take(c)
}

func (r *Record) take(c Copy) { r.Sequence, r.Stored, r.Digest = c.Sequence, c.Stored, c.Digest }

// forget drops what belongs to the content of another copy.
func (r *Record) forget() {
	r.Files, r.NoEmbed, r.UnknownSends, r.Predecessor, r.Suspicion = nil, false, 0, nil, nil
}

// Send says that the message may leave from now on.
func (r *Record) Send() { r.move(Sending) }

// NotTaken says that Redox has not taken the message that was to leave.
func (r *Record) NotTaken() { r.move(Working) }

// Accept ends the job: Redox has its message.
func (r *Record) Accept(receipt schemas.Receipt) {
	r.move(Accepted)
	r.Receipt, r.Reason = &receipt, nil
}

// Resolve ends a job of unknown outcome: an operator found its message at Redox.
func (r *Record) Resolve(reason schemas.Reason) {
	r.move(Accepted)
	r.Receipt, r.Reason, r.NextAttemptAt = nil, &reason, time.Time{}
}

// Resend says that an operator publishes a job that has ended once more.
func (r *Record) Resend(at time.Time) {
	r.Resent = at.UTC()
	r.PossibleDuplicate = r.PossibleDuplicate || r.Phase == Held
}

// Release says that the worker that has the job lets go of it in good order.
func (r *Record) Release() { r.Released = true }

// confirmedAfter is how often one worker alone must meet a fault that may be its
// own before the job ends for it.
const confirmedAfter = 3

// Meet notes a fault that the job met: one more sending of unknown outcome, or what
// may be the worker's own fault. What another worker met stays as it is.
func (r *Record) Meet(f *fault.Fault, worker string) {
	if f.Kind == fault.UnknownOutcome {
		r.UnknownSends++
	}
	if !f.Own || f.Refused {
		return
	}
	s := r.Suspicion
	if s != nil && s.Code == f.Code && s.Worker != worker {
		return
	}
	times := 1
	if s != nil && s.Code == f.Code {
		times += s.Times
	}
	r.Suspicion = &Suspicion{Code: f.Code, Worker: worker, Times: times}
}

// Apply writes what was decided into the record. It reports whether the record has
// changed: for StepBack and RedeliverLater it has not.
func (r *Record) Apply(o Outcome) (changed bool) {
	switch o := o.(type) {
	case StepBack, RedeliverLater:
		return false
	case GiveBack:
		r.move(Working)
		r.Released = true
	case Defer:
		r.move(Working)
		r.Released = true
		r.Deferrals++
	case RetryAt:
		r.end(Waiting, o.Reason)
		r.NextAttemptAt, r.PossibleDuplicate = o.At, r.PossibleDuplicate || o.MayRepeat
	case PutOff:
		// It was not tried, so that its attempt is not counted: the schedule carries
		// the number that this copy had.
		r.end(Waiting, o.Reason)
		r.NextAttemptAt = o.At
		r.Attempt--
	case Fail:
		r.end(Failed, o.Reason)
	case Hold:
		r.end(Held, o.Reason)
	case Cancel:
		r.end(Cancelled, o.Reason)
	}
	return true
}

// end ends the try.
func (r *Record) end(phase Phase, reason schemas.Reason) {
	r.move(phase)
	r.Reason, r.NextAttemptAt, r.Released = &reason, time.Time{}, false
}

// Unreadable stands for the record of a copy whose own cannot be read. It is not
// written.
func Unreadable(c Copy) Record { return Record{Attempt: max(c.Attempt, 1)} }

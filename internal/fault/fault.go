// Package fault says what went wrong with a job, once, in words that are safe
// to show to anyone.
//
// The edge that sees an error (S3, Redox, the decoder, the composer) judges it
// and returns a *Fault; nothing above judges again. A Fault's text is made of
// codes, JSON pointers, status codes and sizes. It never quotes a value, an
// object key or a body, because all of these may hold patient data.
package fault

import (
	"errors"
	"time"
)

// Kind is what a fault means for the job that met it.
type Kind string

const (
	// Retryable may pass by itself: the same attempt later can succeed.
	Retryable Kind = "retryable"
	// Permanent will not pass: the same job can never succeed as it stands.
	Permanent Kind = "permanent"
	// Poison means the job could not be understood.
	Poison Kind = "poison"
	// UnknownOutcome means Redox may or may not have taken the message.
	UnknownOutcome Kind = "unknown_outcome"
	// Interrupted means this process stopped; it says nothing of the job.
	Interrupted Kind = "interrupted"
	// Superseded means another worker owns the job now: this one must send,
	// write and tell nothing more of it. It never reaches an event.
	Superseded Kind = "superseded"
)

// Scope is whose fault it is: what else will meet the same fault.
type Scope string

const (
	// Job is a fault of this job alone.
	Job Scope = "job"
	// Destination is a fault every job of the same destination would meet.
	Destination Scope = "destination"
	// Redox is a fault every job would meet on its way to Redox: the token
	// endpoint, the credentials, the request budget.
	Redox Scope = "redox"
	// Uploads is a fault every file would meet that is uploaded, whatever its
	// destination; messages that carry their files may get through.
	Uploads Scope = "uploads"
	// Store is a fault of the object store.
	Store Scope = "store"
	// Ledger is a fault of the records: nothing can be proven, so nothing may
	// be sent.
	Ledger Scope = "ledger"
)

// Fault is an error that has been judged.
type Fault struct {
	Kind  Kind
	Scope Scope
	// Code is a stable snake_case word that programs may switch on.
	Code string
	// Text is one sentence for people: what happened and what to do.
	Text string
	// Path is a JSON pointer into the job, where one place is at fault.
	Path string
	// Acknowledged is of an UnknownOutcome: Redox answered 2xx, and what it said
	// was not understood. Sent again, the message would be there twice.
	Acknowledged bool
	// Refused is of a Permanent fault: the other side answered, and refuses the
	// request for good.
	Refused bool
	// Own is of a Permanent fault: it may be this worker's own, its credentials or
	// its settings, rather than the job's.
	Own bool
	// RetryAfter is the least wait the other side asked for; 0 is no wish.
	RetryAfter time.Duration
	// Cause is kept for errors.Is and errors.As and is never printed: texts
	// of foreign errors hold object keys, URLs and bodies.
	Cause error
}

// Error gives the code, the path and the text; never the cause.
func (f *Fault) Error() string {
	s := f.Code
	if f.Path != "" {
		s += " at " + f.Path
	}
	if f.Text != "" {
		s += ": " + f.Text
	}
	return s
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Of finds the Fault in err. An error that nobody judged becomes a retryable
// one of the job with the code "internal": trying again loses nothing, and the
// cause stays unprinted.
func Of(err error) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Retryable, Scope: Job, Code: "internal", Text: "an unexpected error inside the worker", Cause: err}
}

const (
	// CodeRateLimited is the code of Redox's 429: the address sent too much, and
	// no job did.
	CodeRateLimited = "redox_rate_limited"
	// CodeThrottled is the code of a request for which the deployment's own budget of
	// requests had no room in all the time that it may wait.
	CodeThrottled = "redox_throttled"
)

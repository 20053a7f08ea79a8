package intake

import (
	"time"
)

// Kind is what a refusal means for the caller.
type Kind string

// The kinds.
const (
	// Invalid: the same job is refused again.
	Invalid Kind = "invalid"
	// Unauthenticated: the caller has shown nothing that is known.
	Unauthenticated Kind = "unauthenticated"
	// Forbidden: the caller may not do this. It does not say whether there is such a job.
	Forbidden Kind = "forbidden"
	// Unknown: there is no such job for this caller.
	Unknown Kind = "unknown"
	// Conflict: the id is that of another job.
	Conflict Kind = "conflict"
	// TooLarge: it has more bytes than are taken.
	TooLarge Kind = "too_large"
	// Quota: the caller has to wait.
	Quota Kind = "quota"
	// Unavailable: nothing was stored, or it is not known; the same may be sent again.
	Unavailable Kind = "unavailable"
)

// statuses are those of HTTP. The answers over NATS have the same numbers.
var statuses = map[Kind]int{
	Invalid: 422, Unauthenticated: 401, Forbidden: 403, Unknown: 404, Conflict: 409, TooLarge: 413, Quota: 429, Unavailable: 503,
}

// Problem is one thing that is wrong with a job. It quotes no value.
type Problem struct {
	// Pointer is a JSON pointer into the job (RFC 6901); empty is the whole of it. A name
	// that the caller made up is "*".
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// Refusal is the error of everything that is not done. All of it is safe to show to
// anyone.
type Refusal struct {
	Kind Kind
	// Code is a stable word that programs may switch on.
	Code   string
	Detail string
	// Problems are all that is wrong with a job, and More counts those left out.
	Problems []Problem
	More     int
	// RetryAfter is when it may be tried again; 0 says nothing.
	RetryAfter time.Duration
	// Cause is for errors.Is and the log's code; it is never shown.
	Cause error
}

// Error gives the code and the detail.
func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Status is the refusal as a status of HTTP.
func (r *Refusal) Status() int { return statuses[r.Kind] }

func forbidden() *Refusal {
	return &Refusal{Kind: Forbidden, Code: "destination_forbidden", Detail: "this caller has no right to that class and destination"}
}

func conflict() *Refusal {
	return &Refusal{Kind: Conflict, Code: "id_conflict",
		Detail: "the destination knows this id with other content: give the new job an id of its own, or send the same bytes again"}
}

// retryWait is what a caller is asked to wait where it cannot be known better.
const retryWait = 2 * time.Second

func unavailable(code, detail string, cause error) *Refusal {
	return &Refusal{Kind: Unavailable, Code: code, Detail: detail, RetryAfter: retryWait, Cause: cause}
}

// unanswered is that of a job of which it is not known whether it was stored.
func unanswered(cause error) *Refusal {
	return unavailable("not_confirmed", "the queue did not confirm the job in time; send the same again, which does not deliver it twice", cause)
}

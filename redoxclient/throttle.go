package redoxclient

import (
	"context"
	"time"
)

// Throttle paces the requests that a client makes of its own accord: Redox counts them per egress address, files,
// messages and tokens alike (Redox docs, "Rate limits").
type Throttle interface {
	// Take waits until one request may be made. It fails when ctx ends, or when
	// none will be allowed any more.
	Take(ctx context.Context) error
	// Sent is told how long after its permit the head of a request left. It may be
	// called from any goroutine, and returns at once.
	Sent(after time.Duration)
	// Heard is told what each answer says of the limit. Where that is a refusal,
	// the ruling says whose limit it was.
	Heard(said LimitSaid) Ruling
}

// LimitSaid is what an answer says of the limit of requests.
type LimitSaid struct {
	Op Op
	// Destination is who a message was for: SendRequest.Destination, or
	// DataModelRequest.Destination. It is empty for a file and a token.
	Destination string
	// Limit is X-RateLimit-Limit; 0 when absent.
	Limit int
	// Refused: it was a 429, after the least wait it asked for or 0.
	Refused    bool
	RetryAfter time.Duration
}

// Ruling is whose limit a 429 was of.
type Ruling struct {
	// OfDestination: of the message's destination alone. Otherwise it was of the
	// address that all requests come from.
	OfDestination bool
	// Wait is the least time for which nothing more is to be sent within the
	// limit; 0 says nothing.
	Wait time.Duration
}

// left tells t that the head of a request has left, whose permit was given at a
// time; a zero time says nothing.
func left(t Throttle, permitted, now time.Time) {
	if t != nil && !permitted.IsZero() {
		t.Sent(now.Sub(permitted))
	}
}

// hear tells t of an answer; a nil throttle rules nothing.
func hear(t Throttle, said LimitSaid) Ruling {
	if t == nil {
		return Ruling{}
	}
	return t.Heard(said)
}

// throttled takes the permit of one request; a nil throttle gives all.
func throttled(ctx context.Context, t Throttle, op Op) *Error {
	if t == nil {
		return nil
	}
	err := t.Take(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &Error{Kind: Interrupted, Op: op, Where: BeforeSending, Code: CodeCancelled, cause: context.Cause(ctx)}
	}
	return &Error{Kind: Retryable, Op: op, Where: BeforeSending, Code: CodeThrottled, cause: err}
}

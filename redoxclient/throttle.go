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
	// Heard is told of every answer: limit is X-RateLimit-Limit or 0, refused is
	// a 429, after the least wait it asked for or 0.
	Heard(limit int, refused bool, after time.Duration)
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

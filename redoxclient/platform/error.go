package platform

import (
	"fmt"
	"strings"
	"time"
)

// Op is the call that failed.
type Op string

// The operations of a client.
const (
	OpLog          Op = "log"
	OpSearch       Op = "search"
	OpEnvironments Op = "environments"
)

// Kind is what an error means for whoever made the call.
type Kind string

const (
	// Refused is a 401 with two tokens, or a 403: the key, its user's role, or the
	// organization's or environment's id is wrong.
	Refused Kind = "refused"
	// NotFound is a 404.
	NotFound Kind = "not_found"
	// RateLimited is a 429.
	RateLimited Kind = "rate_limited"
	// Passing may be gone the next time: 408, 5xx, a broken connection, no token.
	Passing Kind = "passing"
	// Invalid is any other refusal: the same call cannot succeed.
	Invalid Kind = "invalid"
	// Unreadable is an answer whose shape is not known.
	Unreadable Kind = "unreadable"
	// Interrupted means that the caller's context ended.
	Interrupted Kind = "interrupted"
)

// The values of Error.Code.
const (
	CodeStatus       = "status"        // the HTTP status is the error
	CodeConnection   = "connection"    // there was no answer, or not all of it
	CodeToken        = "token"         // no token could be had
	CodeThrottled    = "throttled"     // the Throttle allows no request
	CodeCancelled    = "cancelled"     // the caller's context ended
	CodeTooLarge     = "too_large"     // the answer is longer than the limit
	CodeNoJSON       = "no_json"       // the answer is no JSON object
	CodeNoLog        = "no_log"        // the answer has no log in a known shape
	CodeNoList       = "no_list"       // the answer has no list of logs in a known shape
	CodeErrors       = "errors"        // the answer of a search tells of errors
	CodeEmptyPages   = "empty_pages"   // page after page was empty, and named a next one
	CodeNoCursor     = "no_cursor"     // there is more, and no cursor was recognized
	CodeCursorRepeat = "cursor_repeat" // a page names the cursor that led to it
)

// Error is a call that failed. Its text holds codes and numbers alone.
type Error struct {
	Op     Op
	Kind   Kind
	Code   string
	Status int // HTTP status, 0 without an answer
	// RetryAfter is the least wait asked for; 0 is none.
	RetryAfter time.Duration
	// TraceID is Redox-Trace-Id, an undocumented header seen on live answers.
	TraceID string

	cause error
}

// Error says operation, code, kind and status.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "redox platform %s: %s (%s)", e.Op, e.Code, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.TraceID != "" {
		fmt.Fprintf(&b, ", trace %s", e.TraceID)
	}
	return b.String()
}

// GoString keeps %#v from walking into the cause.
func (e *Error) GoString() string { return e.Error() }

// Unwrap gives the cause, whose text can hold a URL: do not print it.
func (e *Error) Unwrap() error { return e.cause }

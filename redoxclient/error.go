package redoxclient

import (
	"fmt"
	"strings"
	"time"
)

// Kind is what an error means for whoever made the call.
type Kind string

const (
	// Retryable may pass by itself. Nothing was taken by Redox, or what was
	// taken does no harm (an upload that no message names).
	Retryable Kind = "retryable"
	// Permanent will not pass: the same call can never succeed.
	Permanent Kind = "permanent"
	// TooLarge is a 413: permanent for this body.
	TooLarge Kind = "too_large"
	// RateLimited is a 429: wait for RetryAfter, or for the window.
	RateLimited Kind = "rate_limited"
	// Credentials is a fault of configuration: key, kid, client, audience.
	Credentials Kind = "credentials"
	// UnknownOutcome means Redox may or may not have taken the message.
	UnknownOutcome Kind = "unknown_outcome"
	// Interrupted means the caller's context ended before the message can have
	// been taken; it says nothing of the message.
	Interrupted Kind = "interrupted"
)

// Op is the call that failed.
type Op string

// The operations of a client.
const (
	OpToken         Op = "token"
	OpUpload        Op = "upload"
	OpSend          Op = "send"
	OpUploadBlob    Op = "upload_blob"
	OpSendDataModel Op = "send_data_model"
)

// Message reports whether o hands over a message. Only then can its outcome be
// unknown: a token or a file that nobody names harms nothing.
func (o Op) Message() bool { return o == OpSend || o == OpSendDataModel }

// Where is how far a request came.
type Where string

const (
	// BeforeSending means that no byte of the body was handed to a connection.
	BeforeSending Where = "before the request was sent"
	// WhileSending means that some bytes of the body were handed over, not all.
	WhileSending Where = "while sending the body"
	// WhileWaiting means that the whole body was handed over.
	WhileWaiting Where = "waiting for the answer"
	// WhileReading means that the answer had begun.
	WhileReading Where = "reading the answer"
	// Answered means that the error is what the answer says.
	Answered Where = "in the answer"
)

// Reply is what is known of an answer, made safe to show. The zero value means
// that there was none.
type Reply struct {
	// Status is the HTTP status, 0 without an answer.
	Status int
	// IssueCodes are the issue codes of an OperationOutcome, or an OAuth error
	// code; only values of the FHIR value set issue-type and of RFC 6749.
	IssueCodes []string
	// Paths are where the issues of an OperationOutcome are, at most 4: elements of FHIR
	// alone, and no value.
	Paths []string
	// ErrorIDs are the IDs of a Data Model answer's Meta.Errors, for asking
	// Redox about them; only UUIDs and whole numbers, at most 8.
	ErrorIDs []string
	// RetryAfter is the least wait the server asked for; 0 is no wish. Redox
	// documents no Retry-After, so it is usually 0.
	RetryAfter time.Duration
	// RateLimit is X-RateLimit-Limit, requests a window; 0 when absent.
	RateLimit int
	// TraceID is Redox-Trace-Id: an undocumented header seen on live answers.
	TraceID string
	// ContentType is the answer's media type if it is a usual one, else "other".
	ContentType string
	// Length is how many bytes of the answer's body were read.
	Length int64
}

// Error is a call that failed, judged. Its text is made of codes, a status and
// sizes, never of a body, a token, a URL or the text of its cause.
type Error struct {
	Kind  Kind
	Op    Op
	Where Where
	// Code is a stable snake_case word for what happened; see the Code constants.
	Code string
	Reply
	// Ruling is whose limit a RateLimited was of, as the Throttle has it.
	Ruling Ruling
	// hint is one sentence for an operator, made of configuration alone.
	hint  string
	cause error
}

// The values of Error.Code.
const (
	CodeInvalidRequest   = "invalid_request"   // the call itself is wrong; nothing was sent
	CodeStatus           = "status"            // the HTTP status is the error
	CodeRefused          = "refused"           // a 2xx whose body reports an error
	CodeRedirect         = "redirect"          // redirects are never followed
	CodeUnauthorized     = "unauthorized"      // 401 twice, with two tokens
	CodeNoLocation       = "no_location"       // an upload's answer names no URL
	CodeBlobURL          = "blob_url_refused"  // an upload's answer names a URL that is not believed
	CodeEarlyAnswer      = "early_answer"      // a 2xx before the whole body was sent
	CodeAnswerUnreadable = "answer_unreadable" // a 2xx whose body is not a JSON object of a known shape
	CodeAnswerTooLarge   = "answer_too_large"  // a 2xx longer than the answer limit
	CodeAnswerCut        = "answer_cut"        // a 2xx whose body ended early, or is empty and has no end of its own
	CodeAnswerTimeout    = "answer_timeout"    // no answer in Timeouts.Answer
	CodeStalled          = "stalled"           // nothing moved for Timeouts.Stall
	CodeSourceStalled    = "source_stalled"    // the body's source gave nothing for Timeouts.Stall
	CodeSource           = "source_failed"     // the body's source failed; see the cause
	CodeSourceSize       = "source_size"       // the body is shorter or longer than announced
	CodeDNS              = "dns"               // the host name does not resolve
	CodeConnect          = "connect"           // no connection could be made
	CodeCertificate      = "certificate"       // the server's certificate is not trusted
	CodeConnectionBroken = "connection_broken" // an established connection failed
	CodeCancelled        = "cancelled"         // the caller's context ended
	CodeThrottled        = "throttled"         // the Throttle allows no request, any more or for too long
	CodeToken            = "token_failed"      // the token source failed
	CodeTokenRefused     = "token_refused"     // the token endpoint refused the client
	CodeTokenUnreadable  = "token_unreadable"  // the token endpoint's answer makes no sense
	CodeKey              = "key_unusable"      // the assertion cannot be signed
)

// Error says operation, kind, code, place, and what is known of the answer.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "redox %s: %s (%s) %s", e.Op, e.Code, e.Kind, e.Where)
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d, %d bytes", e.Status, e.Length)
		if e.ContentType != "" {
			fmt.Fprintf(&b, " of %s", e.ContentType)
		}
	}
	if len(e.IssueCodes) > 0 {
		fmt.Fprintf(&b, ", issues %s", strings.Join(e.IssueCodes, " "))
	}
	if len(e.Paths) > 0 {
		fmt.Fprintf(&b, ", at %s", strings.Join(e.Paths, " "))
	}
	if len(e.ErrorIDs) > 0 {
		fmt.Fprintf(&b, ", error ids %s", strings.Join(e.ErrorIDs, " "))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", retry after %s", e.RetryAfter)
	}
	if e.TraceID != "" {
		fmt.Fprintf(&b, ", trace %s", e.TraceID)
	}
	if e.hint != "" {
		fmt.Fprintf(&b, ": %s", e.hint)
	}
	return b.String()
}

// GoString keeps %#v from walking into the cause.
func (e *Error) GoString() string { return e.Error() }

// Unwrap gives the cause. Its text can hold URLs: do not print it.
func (e *Error) Unwrap() error { return e.cause }

// Hint is the sentence for an operator at the end of the text; it may be empty.
func (e *Error) Hint() string { return e.hint }

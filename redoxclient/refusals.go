package redoxclient

import (
	"net/http"
	"slices"
)

// refusals are the errors that the body of a 2xx reports: an OperationOutcome
// with error or fatal, an entry with a status of 400 or more, Meta.Errors, or
// errorDetail. How to tell one that passes from one that does not is documented
// by nobody and is our inference.
type refusals struct {
	refused bool
	// lasting: one of them will not pass.
	lasting bool
	// open: one of them does not say that nothing was taken.
	open bool
	// taken: an entry beside them was not refused.
	taken bool
}

func (r *refusals) refuse(kind Kind) {
	r.refused = true
	switch kind {
	case Retryable, RateLimited:
	case UnknownOutcome:
		r.open = true
	default:
		r.lasting = true
	}
}

// entryStatus judges the status of an entry as that of an answer to a message
// that was handed over whole; 0 is none.
func (r *refusals) entryStatus(status int) {
	switch {
	case status == 0:
	case status < http.StatusBadRequest:
		r.taken = true
	case status > 599:
		r.refuse(Permanent)
	default:
		r.refuse(judgeStatus(OpSend, status, true))
	}
}

// passing is the group "transient" of the FHIR value set issue-type (R4, the
// code and those below it): trouble of the receiver, after which it may take the
// same content. Without timeout, which says as little of what was taken as a 504
// does.
var passing = []string{"transient", "lock-error", "no-store", "exception", "incomplete", "throttled"}

// issueKind judges an issue of error or fatal by its codes, of which there is
// one unless the name is repeated.
func issueKind(codes []string) Kind {
	kind := Retryable
	for _, code := range codes {
		switch {
		case code == "timeout":
			kind = UnknownOutcome
		case !slices.Contains(passing, code):
			return Permanent
		}
	}
	if len(codes) == 0 {
		return Permanent
	}
	return kind
}

// refusal is what the refusals come to. All of them must pass for a message to be
// sent again, and nothing beside them may say or hide that a part was taken.
func (v *verdict) refusal() Kind {
	switch {
	case v.lasting, v.taken, v.unreadable != nil:
		return Permanent
	case v.open:
		return UnknownOutcome
	}
	return Retryable
}

// judge decides over the body of a 2xx. What Redox calls fatal goes first, then
// what it calls transient: an OperationOutcome usually comes with either and
// must not outvote it. A body that cannot be read proves nothing in either
// direction.
func (v *verdict) judge() (kind Kind, code string, ok bool) {
	switch {
	case v.fatal:
		return Permanent, CodeRefused, false
	case v.transient:
		return Retryable, CodeRefused, false
	case v.refused:
		return v.refusal(), CodeRefused, false
	case v.unreadable != nil:
		return UnknownOutcome, CodeAnswerUnreadable, false
	}
	return "", "", true
}

// fileRefused judges a 2xx to an upload whose body reports an error in place of
// a URL. A file may be stored twice.
func (c *Client) fileRefused(op Op, ans *answer, v *verdict) *Error {
	kind := v.refusal()
	if kind == UnknownOutcome {
		kind = Retryable
	}
	return c.replyError(op, ans, kind, CodeRefused, nil)
}

// issueTypes is the FHIR value set issue-type (R4 and R5). Only these are
// passed on: a code outside of it is text of unknown content.
var issueTypes = []string{
	"invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired",
	"forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found",
	"deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict",
	"limited-filter", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete",
	"throttled", "informational", "success",
}

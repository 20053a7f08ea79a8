package redoxclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// replyError judges an answer. It takes the codes of its body and no text.
func (c *Client) replyError(op Op, ans *answer, kind Kind, code string, cause error) *Error {
	v := parseAnswer(ans.body)
	return &Error{Kind: kind, Op: op, Where: Answered, Code: code, cause: cause, Reply: Reply{
		Status:      ans.status,
		IssueCodes:  v.codes,
		Paths:       v.paths,
		ErrorIDs:    v.errorIDs,
		RetryAfter:  retryAfter(ans.header, c.cfg.Now()),
		RateLimit:   rateLimit(ans.header),
		TraceID:     safeID(ans.header.Get("Redox-Trace-Id")),
		ContentType: safeMediaType(ans.header.Get("Content-Type")),
		Length:      int64(len(ans.body)),
	}}
}

// statusError judges any status but 2xx; it is nil for those.
func (c *Client) statusError(op Op, ans *answer) *Error {
	switch {
	case ans.status >= 200 && ans.status < 300:
		return nil
	case ans.status >= 300 && ans.status < 400:
		return c.replyError(op, ans, Permanent, CodeRedirect, nil)
	}
	e := c.replyError(op, ans, judgeStatus(op, ans.status, ans.whole), CodeStatus, ans.readErr)
	e.hint = statusHint(ans.status)
	if e.Ruling = ans.ruling; e.Ruling.OfDestination {
		e.hint = "the limit is taken for that of this destination alone"
	}
	return e
}

// unreadError judges a 2xx whose body could not be read whole.
func (c *Client) unreadError(op Op, ans *answer) *Error {
	kind, code := Retryable, CodeAnswerCut
	if op.Message() {
		kind = UnknownOutcome
	}
	cause := ans.readErr
	switch {
	case errors.Is(ans.readErr, errTooLong):
		code = CodeAnswerTooLarge
	case ans.cancelled != nil:
		code, cause = CodeCancelled, ans.cancelled
		if !op.Message() {
			kind = Interrupted
		}
	case errors.Is(ans.readErr, errStalled):
		code = CodeStalled
	case errors.Is(ans.readErr, errAnswerTimeout):
		code = CodeAnswerTimeout
	case errors.Is(ans.readErr, errCoding):
		code = CodeAnswerUnreadable
	}
	e := c.replyError(op, ans, kind, code, cause)
	e.Where = WhileReading
	return e
}

// progress is how much of the body was handed to a connection. All of it counts
// as possibly received, even if it sits in a buffer of ours.
func (a *attempt) progress() Where {
	a.mu.Lock()
	s := a.stream
	a.mu.Unlock()
	if s == nil || !a.connected.Load() {
		return BeforeSending
	}
	given, _, _ := s.state()
	switch given {
	case 0:
		return BeforeSending
	case s.size:
		return WhileWaiting
	}
	return WhileSending
}

// sourceFault is why the body's source failed, if it did.
func (a *attempt) sourceFault() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.opened != nil || a.stream == nil {
		return a.opened
	}
	_, _, err := a.stream.state()
	return err
}

// why names what the watchdog saw standing still.
func (a *attempt) why(answering bool) error {
	if answering {
		return errAnswerTimeout
	}
	a.mu.Lock()
	s := a.stream
	a.mu.Unlock()
	if s == nil {
		return errSourceStalled // still opening the source
	}
	if _, inRead, _ := s.state(); inRead {
		return errSourceStalled
	}
	return errStalled
}

// broken judges a request that got no answer.
func (a *attempt) broken(err error) *Error {
	e := &Error{Kind: Retryable, Op: a.op, Where: a.progress(), cause: err}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "write" && e.Where == WhileWaiting {
		// The kernel did not take the last bytes, so Redox has not got them.
		e.Where = WhileSending
	}
	if e.Where == WhileWaiting && a.op.Message() {
		e.Kind = UnknownOutcome
	}
	source, ended := a.sourceFault(), context.Cause(a.ctx)
	switch {
	case a.caller.Err() != nil:
		e.Code, e.cause = CodeCancelled, context.Cause(a.caller)
		if e.Kind != UnknownOutcome {
			e.Kind = Interrupted
		}
	case errors.Is(ended, errAnswerTimeout):
		e.Code, e.cause = CodeAnswerTimeout, ended
	case errors.Is(ended, errSourceStalled):
		e.Code, e.cause = CodeSourceStalled, ended
	case errors.Is(ended, errStalled):
		e.Code, e.cause = CodeStalled, ended
	case source != nil:
		e.Code, e.cause = CodeSource, source
		if _, ok := errors.AsType[*SizeError](source); ok {
			e.Code, e.hint = CodeSourceSize, source.Error()
		}
	default:
		e.Code = breakCode(err, a.connected.Load())
	}
	return e
}

// breakCode names the failure of a connection, for an operator.
func breakCode(err error, connected bool) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return CodeCertificate
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return CodeDNS
	}
	if op, ok := errors.AsType[*net.OpError](err); !connected || ok && op.Op == "dial" {
		return CodeConnect
	}
	return CodeConnectionBroken
}

func rateLimit(h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// usualMediaTypes are the only ones named in an error: a header is free text.
var usualMediaTypes = []string{
	"application/fhir+json", "application/json", "application/problem+json", "application/xml",
	"application/octet-stream", "text/html", "text/plain", "text/xml",
}

func safeMediaType(raw string) string {
	if raw == "" {
		return ""
	}
	for i, c := range []byte(raw) {
		if c == ';' {
			raw = raw[:i]
			break
		}
	}
	if slices.Contains(usualMediaTypes, raw) {
		return raw
	}
	return "other"
}

// retryAfter reads seconds or an HTTP date; a day is the longest wait believed.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	raw := h.Get("Retry-After")
	if secs, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return min(time.Duration(min(max(secs, 0), 1<<20))*time.Second, longest)
	}
	if at, err := http.ParseTime(raw); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return 0
}

package redoxclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// closeGrace is how long a finished attempt waits for a source that does not
// return from Read though its context has ended.
const closeGrace = 5 * time.Second

// call is one authorized POST, whatever its shape: a file or a message of the
// FHIR or the Data Model API.
type call struct {
	op     Op
	url    *url.URL
	header http.Header
	body   Body
	// destination is who a message is for, for the Throttle alone.
	destination string
	// unasked: it is sent without a wait for "100 Continue", whatever its size.
	unasked bool
}

// answer is what came back, read within the limit.
type answer struct {
	status int
	header http.Header
	body   []byte
	// readErr says why body is not the whole body, or may not be: errTooLong for
	// the limit, errNoEnd for an end that nothing vouches for.
	readErr error
	// whole is whether the request's body had been handed over completely.
	whole bool
	// ruling is whose limit it was, where status is 429.
	ruling Ruling
	// cancelled is the caller's reason to stop, if it came before the end.
	cancelled error
}

var (
	errTooLong = errors.New("the answer is longer than the limit")
	errNoEnd   = errors.New("the answer is empty, and nothing but the end of the connection says so")
)

// do makes the call, and again when that is all that an answer asks for: once
// with a new token when the first is refused, once without "Expect" when that is.
func (c *Client) do(ctx context.Context, k call) (*answer, error) {
	for tries, refusals := 1, 0; ; tries++ {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		if tries > 1 {
			if err := throttled(ctx, c.cfg.Throttle, k.op); err != nil {
				return nil, err
			}
			k.body.PermittedAt = c.cfg.Now()
		}
		ans, failed := c.attempt(ctx, k, token)
		if failed != nil {
			return nil, failed
		}
		ans.ruling = hear(c.cfg.Throttle, LimitSaid{
			Op: k.op, Destination: k.destination, Limit: rateLimit(ans.header),
			Refused: ans.status == http.StatusTooManyRequests, RetryAfter: retryAfter(ans.header, c.cfg.Now()),
		})
		if ans.status == http.StatusMisdirectedRequest {
			// It may be repeated over another connection alone (RFC 9110, 15.5.20).
			c.transport.CloseIdleConnections()
		}
		switch {
		case k.refusedExpect(ans):
			k.unasked = true
			continue
		case ans.status != http.StatusUnauthorized:
			return ans, nil
		}
		c.cfg.Tokens.Invalidate(token)
		if refusals++; refusals == 2 {
			e := c.replyError(k.op, ans, Credentials, CodeUnauthorized, nil)
			e.hint = "two fresh tokens were refused: check that the API key belongs to this environment"
			return nil, e
		}
	}
}

// Authorize makes sure that a token is at hand, so that a slow token endpoint
// does not hold a file open.
func (c *Client) Authorize(ctx context.Context) error {
	_, err := c.token(ctx)
	return err
}

func (c *Client) token(ctx context.Context) (string, error) {
	token, err := c.cfg.Tokens.TokenContext(ctx)
	if err == nil && token != nil && token.AccessToken != "" && plainURLText(token.AccessToken) {
		return token.AccessToken, nil
	}
	if judged, ok := errors.AsType[*Error](err); ok {
		return "", judged
	}
	e := &Error{Kind: Retryable, Op: OpToken, Where: BeforeSending, Code: CodeToken, cause: err}
	if ctx.Err() != nil {
		e.Kind, e.Code, e.cause = Interrupted, CodeCancelled, context.Cause(ctx)
	}
	return "", e
}

// attempt is one request. It keeps what is needed to judge a break.
type attempt struct {
	call
	caller    context.Context // the caller's, to tell its end from ours
	ctx       context.Context // ends with the caller's, the watchdog or the attempt
	cancel    context.CancelCauseFunc
	dog       *watchdog
	limits    Timeouts
	connected atomic.Bool
	expect    expectation
	left      func() // the head of the request was written

	mu     sync.Mutex
	stream *stream // the current opening of the body
	opened error   // why the body could not be opened
}

// attempt returns an answer, or the judged break that prevented one.
func (c *Client) attempt(ctx context.Context, k call, token string) (*answer, *Error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(errAttemptOver)
	a := &attempt{call: k, caller: ctx, cancel: cancel, limits: c.cfg.Timeouts,
		left: func() { left(c.cfg.Throttle, k.body.PermittedAt, c.cfg.Now()) }}
	a.dog = newWatchdog(c.cfg.Timeouts.Stall, cancel, a.why)
	defer a.dog.stop()
	a.expect.informed = make(chan struct{})
	a.ctx = httptrace.WithClientTrace(inner, a.trace())
	body, err := a.open()
	if err != nil {
		return nil, a.broken(err)
	}
	// Deferred calls run last to first: the context ends, then the body is
	// waited for, so that the caller's source is idle when the call returns.
	defer a.raise()
	defer a.settle()
	defer cancel(errAttemptOver)

	began := c.cfg.Now()
	resp, err := c.transport.RoundTrip(a.request(body, token, c.cfg.UserAgent))
	c.cfg.Observe.tell(k.op, resp, c.cfg.Now().Sub(began))
	if err != nil {
		return nil, a.broken(err)
	}
	a.dog.await(c.cfg.Timeouts.Stall, false)
	return a.read(resp, c.cfg.AnswerLimit), nil
}

func (a *attempt) request(body io.ReadCloser, token, agent string) *http.Request {
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           a.url,
		Host:          a.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1, // without it the transport sends "Expect" and does not wait
		ProtoMinor:    1,
		Header:        a.header.Clone(),
		Body:          body,
		ContentLength: a.body.Size,
		// The transport calls GetBody only when not one byte was written to a
		// connection that turned out to be dead. Without it such a request
		// would look as if it might have been taken. No Idempotency-Key header
		// is ever set: it would let the transport repeat a POST by itself.
		GetBody: a.open,
	}).WithContext(a.ctx)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/fhir+json, application/json;q=0.9")
	req.Header.Set("Accept-Encoding", "identity") // without it any coding is welcome (RFC 9110, 12.5.3)
	req.Header.Set("User-Agent", agent)
	if a.expects() {
		req.Header.Set("Expect", "100-continue")
	}
	return req
}

// open opens the body for this attempt and forgets an earlier opening.
func (a *attempt) open() (io.ReadCloser, error) {
	a.mu.Lock()
	a.stream, a.opened = nil, nil
	a.mu.Unlock()
	src, err := a.body.Open(a.ctx)
	if err == nil && src == nil {
		err = errors.New("the body's source is nil")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.opened = err
		return nil, fmt.Errorf("open the body: %w", err)
	}
	a.stream = &stream{src: src, size: a.body.Size, moved: a.moved}
	if a.expects() {
		a.stream.gate = a.awaitContinue
	}
	a.dog.await(a.limits.Stall, false)
	return a.stream, nil
}

func (a *attempt) moved(whole bool) {
	if whole {
		a.dog.await(a.limits.Answer, true)
		return
	}
	a.dog.moved()
}

// settle closes the body and waits, within reason, until its source is idle.
func (a *attempt) settle() {
	a.mu.Lock()
	s := a.stream
	a.mu.Unlock()
	if s == nil {
		return
	}
	idle := make(chan struct{})
	go func() { defer close(idle); _ = s.Close() }() //nolint:errcheck // the source was only read
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
	}
}

// read takes the answer's body within limit.
func (a *attempt) read(resp *http.Response, limit int64) *answer {
	ans := &answer{status: resp.StatusCode, header: resp.Header, whole: a.progress() == WhileWaiting}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if ans.status < 200 {
		return ans // 101: what follows is no answer
	}
	// An answer may not trickle for ever either.
	late := time.AfterFunc(a.limits.Answer, func() { a.cancel(errAnswerTimeout) })
	defer late.Stop()
	ans.body, ans.readErr = readAnswer(resp.Header, &movingReader{resp.Body, a.dog.moved}, limit)
	if ans.readErr == nil && endsWithConnection(resp) && len(bytes.TrimSpace(ans.body)) == 0 {
		ans.readErr = errNoEnd
	}
	if ans.readErr != nil && a.caller.Err() != nil {
		ans.cancelled = context.Cause(a.caller)
	}
	if ans.readErr != nil && a.ctx.Err() != nil {
		ans.readErr = errors.Join(ans.readErr, context.Cause(a.ctx))
	}
	return ans
}

// endsWithConnection reports whether resp says neither how long its body is nor
// where it ends (RFC 9112, 6.3, rule 8). A server or proxy that dies after the
// headers then looks like one with nothing to say; JSON shows its own end, no
// bytes at all show none. A length of 0, a 204 and chunks do.
func endsWithConnection(resp *http.Response) bool {
	return resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

type movingReader struct {
	r     io.Reader
	moved func()
}

func (m *movingReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if n > 0 {
		m.moved()
	}
	return n, err
}

package platform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chartpost/chartpost/redoxclient"
)

// call is one request.
type call struct {
	op     Op
	method string
	path   []string
	query  url.Values
	body   any
}

// tolerant: a repeated name or a bad byte in some text says nothing of the rest.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// do makes the call, and once more with a new token where the first is refused. It
// gives the JSON object of a 200.
func (c *Client) do(ctx context.Context, k call) (*envelope, error) {
	for refusals := 0; ; {
		token, err := c.token(ctx, k.op)
		if err != nil {
			return nil, err
		}
		status, body, failed := c.attempt(ctx, k, token)
		if failed == nil {
			return k.read(body)
		}
		if status != http.StatusUnauthorized {
			return nil, failed
		}
		c.cfg.Tokens.Invalidate(token)
		if refusals++; refusals == 2 {
			return nil, failed
		}
	}
}

func (c *Client) token(ctx context.Context, op Op) (string, error) {
	token, err := c.cfg.Tokens.TokenContext(ctx)
	if err == nil && token != nil && token.AccessToken != "" {
		return token.AccessToken, nil
	}
	e := &Error{Op: op, Kind: Passing, Code: CodeToken, cause: err}
	if said, ok := errors.AsType[*redoxclient.Error](err); ok {
		e.Status, e.RetryAfter = said.Status, said.RetryAfter
		if said.Kind == redoxclient.Credentials {
			e.Kind = Refused
		}
	}
	if ctx.Err() != nil {
		e.Kind, e.Code = Interrupted, CodeCancelled
	}
	return "", e
}

// attempt is one request: a 200 with its body, or what is wrong.
func (c *Client) attempt(ctx context.Context, k call, token string) (int, []byte, *Error) {
	fail := func(kind Kind, code string, err error) (int, []byte, *Error) {
		if ctx.Err() != nil {
			kind, code = Interrupted, CodeCancelled
		}
		return 0, nil, &Error{Op: k.op, Kind: kind, Code: code, cause: err}
	}
	if c.cfg.Throttle != nil {
		if err := c.cfg.Throttle.Take(ctx); err != nil {
			return fail(Passing, CodeThrottled, err)
		}
	}
	permitted := c.cfg.Now()
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := k.request(limited, c.base, token, c.cfg.UserAgent)
	if err != nil {
		return fail(Invalid, "request", err)
	}
	if c.cfg.Throttle != nil {
		c.cfg.Throttle.Sent(c.cfg.Now().Sub(permitted))
	}
	resp, err := c.transport.RoundTrip(req) // no redirect is followed
	if err != nil {
		return fail(Passing, CodeConnection, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	c.hear(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return resp.StatusCode, nil, statusError(k.op, resp, c.cfg.Now())
	case err != nil:
		return fail(Passing, CodeConnection, err)
	case len(body) > answerLimit:
		return fail(Unreadable, CodeTooLarge, nil)
	}
	return resp.StatusCode, body, nil
}

func (k call) request(ctx context.Context, base *url.URL, token, agent string) (*http.Request, error) {
	u := base.JoinPath(append([]string{"platform"}, k.path...)...)
	u.RawQuery = k.query.Encode()
	var body io.Reader
	if k.body != nil {
		text, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", agent)
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// hear tells the Throttle what the answer says of the limit.
func (c *Client) hear(resp *http.Response) {
	if c.cfg.Throttle == nil {
		return
	}
	limit, _ := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")) //nolint:errcheck // 0 where it says nothing
	c.cfg.Throttle.Heard(redoxclient.LimitSaid{
		Limit: max(limit, 0), Refused: resp.StatusCode == http.StatusTooManyRequests, RetryAfter: retryAfter(resp.Header, c.cfg.Now()),
	})
}

// statusError judges by the status alone: no error body of this API is documented.
func statusError(op Op, resp *http.Response, now time.Time) *Error {
	e := &Error{Op: op, Kind: Invalid, Code: CodeStatus, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, now), TraceID: idOf(resp.Header.Get("Redox-Trace-Id"))}
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Kind = Refused
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status == http.StatusTooManyRequests:
		e.Kind = RateLimited
	case status == http.StatusRequestTimeout || status >= 500:
		e.Kind = Passing
	case status < 300:
		e.Kind = Unreadable
	}
	return e
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3), at most an hour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, 3600)) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}

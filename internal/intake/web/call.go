package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/intake/access"
	"github.com/chartpost/chartpost/schemas"
)

// call is one request on its way.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	grant intake.Grant
	// status is that of the answer, once it is written, and code that of a refusal.
	status int
	code   string
}

// route answers an operation: who calls is found out first, and what may not be done is
// refused before a byte of the body is read.
func (a *API) route(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		began := time.Now()
		c := &call{w: w, r: request}
		defer func() { a.after(c, r, began, recover()) }()
		if err := a.serve(c, r); err != nil {
			c.refuse(err)
		}
	})
}

func (a *API) serve(c *call, r route) error {
	if r.open {
		return r.serve(c)
	}
	places := a.places
	if r.stream {
		places = a.streams
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return &intake.Refusal{Kind: intake.Unavailable, Code: "busy", Detail: "as many requests are in hand as this process takes; send it again", RetryAfter: time.Second}
	}
	grant, err := a.Gate.Enter(c.r.Context(), credentials(c.r))
	c.grant = grant
	if err != nil {
		return err
	}
	take := a.Quotas.Request
	if r.stream {
		take = a.Quotas.Stream
	}
	done, err := take(grant.Caller)
	if err != nil {
		return err
	}
	defer done()
	trace := schemas.ParseTrace(c.r.Header.Get(schemas.HeaderTrace))
	c.r = c.r.WithContext(schemas.WithTrace(c.r.Context(), trace))
	return r.serve(c)
}

// defect tells of a panic by its type and place: its value may be about a patient.
func (a *API) defect(value any) {
	a.Log.Error("a panic while answering over HTTP", "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
}

// after notes how a request ended.
func (a *API) after(c *call, r route, began time.Time, panicked any) {
	if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // what net/http itself compares
		a.defect(panicked)
	}
	name := r.path
	if r.method != "" {
		name = r.method + " " + r.path
	}
	status := c.status
	if panicked != nil {
		status = http.StatusInternalServerError
	}
	a.Meter.Request(name, status, time.Since(began))
	if status >= http.StatusBadRequest {
		a.audit.Refused(name, c.grant.Caller, status, c.code)
	}
	if panicked != nil {
		panic(http.ErrAbortHandler)
	}
}

// credentials are what the request shows. A header that is no bearer token counts as a
// token that is none.
func credentials(r *http.Request) access.Credentials {
	var c access.Credentials
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		scheme, token, _ := strings.Cut(header[0], " ")
		c.Token = strings.TrimSpace(token)
		if !strings.EqualFold(scheme, "Bearer") || c.Token == "" || len(header) > 1 {
			c.Token = "none"
		}
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.Certificate = r.TLS.VerifiedChains[0][0]
	}
	return c
}

// problem is a problem detail (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is the last part of Type, and Errors what is wrong with a job.
	Code   string           `json:"code"`
	Errors []intake.Problem `json:"errors,omitempty"`
	More   int              `json:"more,omitempty"`
}

func problemOf(err error) (problem, *intake.Refusal) {
	refusal, ok := errors.AsType[*intake.Refusal](err)
	if !ok {
		refusal = bodyRefusal(err)
	}
	status := refusal.Status()
	return problem{
		Type: "urn:chartpost:problem:" + refusal.Code, Title: titleOf(status), Status: status, Detail: refusal.Detail,
		Code: refusal.Code, Errors: refusal.Problems, More: refusal.More,
	}, refusal
}

func titleOf(status int) string { return http.StatusText(status) }

// bodyRefusal judges an error that is none of the intake's: the body could not be read.
func bodyRefusal(err error) *intake.Refusal {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &intake.Refusal{Kind: intake.Invalid, Code: "body_slow", Detail: "the body came too slowly"}
	}
	return &intake.Refusal{Kind: intake.Invalid, Code: "body_unreadable", Detail: "the body could not be read to its end"}
}

// refuse answers with a problem. Where the answer has begun, it ends the connection.
func (c *call) refuse(err error) {
	p, refusal := problemOf(err)
	c.code = refusal.Code
	if c.status != 0 {
		panic(http.ErrAbortHandler)
	}
	header := c.w.Header()
	if refusal.Kind == intake.Unauthenticated {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if refusal.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(refusal.RetryAfter.Seconds()))))
	}
	c.answer(p.Status, "application/problem+json", p)
}

func (c *call) answer(status int, contentType string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // all that is answered can be encoded
	}
	conn := http.NewResponseController(c.w)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	if c.r.ContentLength != 0 {
		_ = conn.SetReadDeadline(time.Now().Add(linger))
	}
	header := c.w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(data)+1))
	c.status = status
	c.w.WriteHeader(status)
	// The caller that went away is not told.
	_, _ = c.w.Write(append(data, '\n'))
}

func notFound(*call) error {
	return &intake.Refusal{Kind: intake.Unknown, Code: "no_such_path", Detail: "there is nothing here; docs/intake.md lists the paths"}
}

func notAllowed(allow string) func(*call) error {
	return func(c *call) error {
		c.w.Header().Set("Allow", allow)
		c.code = "method"
		c.answer(http.StatusMethodNotAllowed, "application/problem+json", problem{
			Type: "urn:chartpost:problem:method", Title: titleOf(http.StatusMethodNotAllowed), Status: http.StatusMethodNotAllowed,
			Detail: "this path takes " + allow, Code: "method",
		})
		return nil
	}
}

// loopbackHost reports whether a Host header names this machine.
func loopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

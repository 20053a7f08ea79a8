package redoxclient

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRequests(t *testing.T) {
	type seen struct {
		path, source, contentType, auth, body, expect string
		length                                        int64
	}
	var got seen
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.URL.Path, r.Header.Get("Redox-source-Id"), r.Header.Get("Content-Type"),
			r.Header.Get("Authorization"), string(body), r.Header.Get("Expect"), r.ContentLength}
		if r.Proto != "HTTP/1.1" || r.Method != "POST" || len(r.TransferEncoding) > 0 || r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("%s %s %v", r.Method, r.Proto, r.TransferEncoding)
		}
		w.Header().Set("Location", blobURL)
		w.WriteHeader(201)
	})
	c := newClient(t, url+"/base/")
	up, err := upload(t.Context(), c, Bytes([]byte("a file")))
	if err != nil || up.URL != blobURL || up.Status != 201 {
		t.Fatal(up, err)
	}
	want := seen{"/base/fhir/R4/redox/Development/Binary", testSource, "application/pdf", "Bearer t1-CANARYTOKEN", "a file", "", 6}
	if got != want {
		t.Errorf("upload: got %+v, want %+v", got, want)
	}
	if _, err := send(t.Context(), c, Bytes([]byte("{}"))); err != nil {
		t.Fatal(err)
	}
	want = seen{"/base/fhir/R4/good-health/Development/" + testPath, testSource, "application/fhir+json", "Bearer t1-CANARYTOKEN", "{}", "", 2}
	if got != want {
		t.Errorf("send: got %+v, want %+v", got, want)
	}
}

func TestExpectOnlyForLargeBodies(t *testing.T) {
	var expect atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		expect.Store(r.Header.Get("Expect"))
		_, _ = io.Copy(io.Discard, r.Body)
	})
	c := newClient(t, url)
	for size, want := range map[int64]string{expectAbove: "", expectAbove + 1: "100-continue"} {
		if _, err := send(t.Context(), c, zeros(size)); err != nil || expect.Load() != want {
			t.Errorf("%d bytes: Expect %q, %v", size, expect.Load(), err)
		}
	}
}

func TestStatuses(t *testing.T) {
	kinds := map[int]Kind{
		400: Permanent, 402: Permanent, 403: Permanent, 404: Permanent, 405: Permanent, 406: Permanent, 407: Retryable,
		408: Retryable, 409: Permanent, 410: Permanent, 413: TooLarge, 415: Permanent, 416: Permanent, 422: Permanent,
		429: RateLimited, 451: Permanent, 500: Retryable, 501: Permanent, 502: Retryable, 503: Retryable,
		// Told apart by operation below.
		504: "", 524: "", 599: "",
	}
	bodies := map[string]string{
		"empty": "", "html": "<html>CANARY</html>", "plain": "CANARY", "detail": `{"errorDetail":"CANARY"}`,
		"outcome": `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"CANARY"},{"severity":"error","code":"CANARY"}]}`,
		"meta":    `{"Meta":{"Errors":[{"ID":1,"Text":"CANARY","Type":"CANARY"}]}}`,
		"long":    strings.Repeat("CANARY", 1000),
	}
	var status atomic.Int64
	var body atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/CANARY")
		w.Header().Set("Redox-Trace-Id", "CANARY text with spaces")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, body.Load().(string))
	})
	c := newClient(t, url, func(cfg *Config) { cfg.AnswerLimit = 4000 })
	for code, want := range kinds {
		for name, text := range bodies {
			for _, op := range allOps {
				status.Store(int64(code))
				body.Store(text)
				wanted := cmp.Or(want, either(op, UnknownOutcome, Retryable))
				t.Run(fmt.Sprint(code, name, op), func(t *testing.T) {
					e := wantError(t, callOp(t.Context(), c, op, canaryBody()), wanted, CodeStatus)
					if e.Status != code || e.Where != Answered || e.Op != op || e.ContentType != "other" || e.TraceID != "" {
						t.Errorf("got %+v", e.Reply)
					}
					if got := slices.Equal(e.IssueCodes, []string{"not-found"}); got != (name == "outcome") {
						t.Errorf("issues %v", e.IssueCodes)
					}
				})
			}
		}
	}
}

func TestHeadersOfErrors(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	cases := map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "CANARY": 0, "99999999999": 24 * time.Hour,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
	}
	for raw, want := range cases {
		if got := retryAfter(http.Header{"Retry-After": {raw}}, now); got != want {
			t.Errorf("%q: got %s, want %s", raw, got, want)
		}
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "12")
		w.Header().Set("X-RateLimit-Limit", "7500")
		w.Header().Set("Redox-Trace-Id", "abc-1")
		w.WriteHeader(429)
	})
	e := wantError(t, callOp(t.Context(), newClient(t, url), OpSend, canaryBody()), RateLimited, CodeStatus)
	if e.RetryAfter != 12*time.Second || e.RateLimit != 7500 || e.TraceID != "abc-1" {
		t.Errorf("got %+v", e.Reply)
	}
}

func TestTokenIsRenewedOnce(t *testing.T) {
	var asked atomic.Int64
	refuse := int64(1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n := asked.Add(1); n <= refuse {
			w.WriteHeader(401)
		} else if r.Header.Get("Authorization") != "Bearer t2-CANARYTOKEN" || string(body) != "CANARY body" {
			t.Errorf("second try: %v, %d bytes", r.Header, len(body))
		}
	})
	tokens := &fixedTokens{}
	c := newClient(t, url, func(cfg *Config) { cfg.Tokens = tokens })
	if _, err := send(t.Context(), c, canaryBody()); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 2 || !slices.Equal(tokens.dropped, []string{"t1-CANARYTOKEN"}) {
		t.Errorf("%d requests, dropped %v", asked.Load(), tokens.dropped)
	}
	refuse = 1 << 30
	asked.Store(0)
	e := wantError(t, callOp(t.Context(), c, OpUpload, canaryBody()), Credentials, CodeUnauthorized)
	if asked.Load() != 2 || e.Status != 401 {
		t.Errorf("%d requests, status %d", asked.Load(), e.Status)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	var status atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", other+"/CANARY")
		w.WriteHeader(int(status.Load()))
	})
	c := newClient(t, url)
	for _, code := range []int64{300, 301, 302, 303, 304, 307, 308} {
		status.Store(code)
		for _, op := range allOps {
			wantError(t, callOp(t.Context(), c, op, canaryBody()), Permanent, CodeRedirect)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestInvalidRequests(t *testing.T) {
	c := newClient(t, "http://127.0.0.1:1")
	good := SendRequest{Destination: "a", Path: testPath, Body: canaryBody()}
	bad := map[string]func(*SendRequest){
		"no slug":      func(r *SendRequest) { r.Destination = "" },
		"slug up":      func(r *SendRequest) { r.Destination = ".." },
		"slug path":    func(r *SendRequest) { r.Destination = "a/CANARY" },
		"slug query":   func(r *SendRequest) { r.Destination = "a?CANARY" },
		"slug escape":  func(r *SendRequest) { r.Destination = "a%2f" },
		"no path":      func(r *SendRequest) { r.Path = "" },
		"path up":      func(r *SendRequest) { r.Path = "../$CANARY" },
		"path query":   func(r *SendRequest) { r.Path = testPath + "?CANARY" },
		"source":       func(r *SendRequest) { r.SourceID = "CANARY" },
		"content type": func(r *SendRequest) { r.ContentType = "text/plain\r\nCANARY: 1" },
		"no open":      func(r *SendRequest) { r.Body.Open = nil },
		"no size":      func(r *SendRequest) { r.Body.Size = 0 },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			r := good
			change(&r)
			_, err := c.Send(t.Context(), r)
			if e := wantError(t, err, Permanent, CodeInvalidRequest); e.Where != BeforeSending {
				t.Errorf("where: %s", e.Where)
			}
		})
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := New(Config{APIURL: "http://example.org", BlobURL: "http://example.org", Environment: "production", BlobHosts: []string{"https://x"},
		Concurrency: -1, AnswerLimit: -1, UserAgent: "a\nb", TLS: &tls.Config{InsecureSkipVerify: true}, Timeouts: Timeouts{Stall: -1}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"APIURL", "BlobURL", "Environment", "BlobHosts[0]", "Tokens", "Concurrency", "AnswerLimit", "UserAgent", "TLS", "Timeouts.Stall"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	for _, url := range []string{"https://u:CANARY@example.org", "https://example.org?CANARY", "ftp://x", "api", "https://", "https://x#CANARY", "http://127.0.0.1.example.org"} {
		for _, cfg := range []Config{{APIURL: url}, {BlobURL: url}} {
			cfg.Environment, cfg.Tokens = "Production", &fixedTokens{}
			_, err := New(cfg)
			if err == nil {
				t.Errorf("%s was accepted", url)
				continue
			}
			noCanary(t, err)
		}
	}
	for _, url := range []string{"", "https://api.ca.redoxengine.com", "http://localhost:1", "http://[::1]:1/x"} {
		if _, err := New(Config{APIURL: url, BlobURL: url, Environment: "Production", Tokens: &fixedTokens{}}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("proto %s", r.Proto)
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	e := wantError(t, callOp(t.Context(), newClient(t, s.URL), OpSend, canaryBody()), Retryable, CodeCertificate)
	if e.Where != BeforeSending {
		t.Errorf("where: %s", e.Where)
	}
	trusting := newClient(t, s.URL, func(cfg *Config) {
		cfg.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	})
	if _, err := send(t.Context(), trusting, canaryBody()); err != nil {
		t.Fatal(err)
	}
}

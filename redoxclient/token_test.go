package redoxclient

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// tokenServer is a token endpoint as a RoundTripper, so that it can live in a
// synctest bubble. It verifies what Redox documents about an assertion.
type tokenServer struct {
	t      *testing.T
	public map[string]crypto.PublicKey

	mu     sync.Mutex
	asked  int
	jtis   map[string]bool
	delay  time.Duration
	answer func(n int) (int, string) // nil: a good token "token-n" of 300 s
	gzip   bool                      // answers are gzipped, though nobody asked for it
}

func (s *tokenServer) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	form := must(url.ParseQuery(string(must(io.ReadAll(r.Body)))))
	s.mu.Lock()
	s.asked++
	n, delay, answer := s.asked, s.delay, s.answer
	s.verify(form)
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	status, body := 200, fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":300}`, n)
	if answer != nil {
		status, body = answer(n)
	}
	if status == 0 {
		return nil, errors.New("CANARY broken")
	}
	header := http.Header{}
	if s.gzip {
		header.Set("Content-Encoding", "gzip")
		body = string(gzipped([]byte(body)))
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (s *tokenServer) verify(form url.Values) {
	if form.Get("grant_type") != "client_credentials" ||
		form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		s.t.Errorf("form: %v", form)
	}
	signed, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil {
		s.t.Error(err)
		return
	}
	head := signed.Signatures[0].Header
	payload, err := signed.Verify(s.public[head.KeyID])
	if err != nil {
		s.t.Errorf("kid %q: %v", head.KeyID, err)
		return
	}
	var c struct {
		Iss, Sub, Aud, Jti string
		Iat, Exp           int64
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		s.t.Error(err)
	}
	if c.Iss != "client-1" || c.Sub != "client-1" || c.Aud != DefaultTokenURL || head.ExtraHeaders["typ"] != "JWT" {
		s.t.Errorf("claims %+v, header %+v", c, head)
	}
	if c.Exp <= c.Iat || c.Exp > c.Iat+300 || c.Iat != time.Now().Add(-assertionSkew).Unix() {
		s.t.Errorf("iat %d exp %d", c.Iat, c.Exp)
	}
	if s.jtis[c.Jti] || c.Jti == "" {
		s.t.Error("a jti was repeated")
	}
	s.jtis[c.Jti] = true
}

func (s *tokenServer) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *tokenServer) set(answer func(n int) (int, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

type keyErrors struct{ got []error }

func newTokens(t *testing.T) (*TokenSource, *tokenServer, string, *keyErrors) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	writeKey(t, path, pkcs8(ecKey()))
	server := &tokenServer{t: t, jtis: map[string]bool{}, public: map[string]crypto.PublicKey{"k1": ecKey().Public()}}
	bad := &keyErrors{}
	s, err := NewTokenSource(TokenConfig{ClientID: "client-1", KeyFile: path, KeyID: "k1", transport: server,
		OnKeyError: func(err error) { bad.got = append(bad.got, err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s, server, path, bad
}

func wantToken(t *testing.T, s *TokenSource, want string) {
	t.Helper()
	got, err := s.TokenContext(t.Context())
	if err != nil || got.AccessToken != want {
		t.Fatalf("got %v, %v; want %s", got, err, want)
	}
}

func TestManyCallersCostOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		server.delay = time.Second
		ask := func() {
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() {
					tok, err := s.TokenContext(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					s.Invalidate("some older token")
					_ = tok
				})
			}
			wg.Wait()
		}
		ask()
		if n := server.fetches(); n != 1 {
			t.Fatalf("%d fetches for the first token", n)
		}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { s.Invalidate("token-1") })
		}
		wg.Wait()
		ask()
		if n := server.fetches(); n != 2 {
			t.Fatalf("%d fetches after the token was refused", n)
		}
	})
}

func TestFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		server.delay = time.Second
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		first := make(chan error)
		go func() { _, err := s.TokenContext(ctx); first <- err }()
		synctest.Wait()
		cancel(gone)
		err := <-first
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Interrupted || !errors.Is(err, gone) {
			t.Fatalf("first caller: %v", err)
		}
		wantToken(t, s, "token-1")
		if n := server.fetches(); n != 1 {
			t.Fatalf("%d fetches", n)
		}
	})
}

func TestFetchEndsByItsOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		server.delay = time.Hour
		began := time.Now()
		_, err := s.Token()
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Retryable || e.Code != CodeAnswerTimeout {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took != tokenTimeout {
			t.Fatalf("took %s", took)
		}
	})
}

func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		wantToken(t, s, "token-1")
		time.Sleep(239 * time.Second)
		wantToken(t, s, "token-1")
		synctest.Wait()
		if n := server.fetches(); n != 1 {
			t.Fatalf("renewed too early: %d fetches", n)
		}
		time.Sleep(time.Second) // 240 s: a minute before the end
		wantToken(t, s, "token-1")
		synctest.Wait()
		wantToken(t, s, "token-2")

		// An endpoint that is down costs nothing while the token lives.
		server.set(func(int) (int, string) { return 503, "" })
		time.Sleep(299 * time.Second)
		wantToken(t, s, "token-2")
		time.Sleep(time.Second)
		if _, err := s.Token(); err == nil {
			t.Fatal("a dead token was given out")
		}
	})
}

func TestLifetime(t *testing.T) {
	cases := map[string]time.Duration{
		`300`: 300 * time.Second, `"120"`: 120 * time.Second, `90.0`: 90 * time.Second,
		``: unsaidLife, `null`: unsaidLife, `0`: unsaidLife, `-5`: unsaidLife, `"soon"`: unsaidLife, `{}`: unsaidLife,
		`"NaN"`: unsaidLife, `1e300`: longestLife,
	}
	for raw, want := range cases {
		if got := lifetime(json.RawMessage(raw)); got != want {
			t.Errorf("%q: got %s, want %s", raw, got, want)
		}
	}
	asked := time.Unix(1000, 0)
	g := newGrant(tokenAnswer{ExpiresIn: json.RawMessage("40")}, asked)
	if !g.renew.Equal(asked.Add(30 * time.Second)) {
		t.Errorf("a short token is renewed at %s", g.renew)
	}
}

func TestFailureIsShared(t *testing.T) {
	cases := map[string]struct {
		status int
		body   string
		kind   Kind
		share  time.Duration
	}{
		"network":     {0, "", Retryable, shareFailure},
		"503":         {503, "CANARY", Retryable, shareFailure},
		"unreadable":  {200, "CANARY", Retryable, shareFailure},
		"no token":    {200, `{"expires_in":300}`, Retryable, shareFailure},
		"bad token":   {200, `{"access_token":"CANARY\n"}`, Retryable, shareFailure},
		"oversized":   {200, strings.Repeat(" ", tokenAnswerLimit) + `{"access_token":"a"}`, Retryable, shareFailure},
		"429":         {429, "", RateLimited, shareFailure},
		"client":      {401, `{"error":"invalid_client","error_description":"CANARY"}`, Credentials, shareRefusal},
		"client 400":  {400, `{"error":"invalid_client"}`, Credentials, shareRefusal},
		"redirect":    {307, "", Credentials, shareRefusal},
		"not found":   {404, "<html>CANARY", Credentials, shareRefusal},
		"odd code":    {400, `{"error":"CANARY"}`, Credentials, shareRefusal},
		"unavailable": {400, `{"error":"temporarily_unavailable"}`, Retryable, shareFailure},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, server, _, _ := newTokens(t)
				server.set(func(int) (int, string) { return tc.status, tc.body })
				for range 50 {
					_, err := s.Token()
					e, ok := errors.AsType[*Error](err)
					if !ok || e.Kind != tc.kind || e.Op != OpToken {
						t.Fatalf("got %v", err)
					}
					noCanary(t, err)
					if tc.kind == Credentials && (!strings.Contains(err.Error(), "client-1") || !strings.Contains(err.Error(), "k1")) {
						t.Fatalf("the text names neither client nor key: %v", err)
					}
				}
				if n := server.fetches(); n != 1 {
					t.Fatalf("%d fetches at once", n)
				}
				time.Sleep(tc.share - time.Nanosecond)
				_, _ = s.Token()
				if n := server.fetches(); n != 1 {
					t.Fatalf("the failure was shared too briefly")
				}
				time.Sleep(time.Nanosecond)
				server.set(nil)
				wantToken(t, s, "token-2")
			})
		})
	}
}

func TestInvalidateOnlyTheCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server, _, _ := newTokens(t)
		wantToken(t, s, "token-1")
		s.Invalidate("token-1")
		wantToken(t, s, "token-2")
		s.Invalidate("token-1")
		wantToken(t, s, "token-2")
		if n := server.fetches(); n != 2 {
			t.Fatalf("%d fetches", n)
		}
	})
}

func TestTokenConfigFaults(t *testing.T) {
	_, err := NewTokenSource(TokenConfig{TokenURL: "http://user:CANARY@example.org", KeyFile: "/nowhere/key.pem", Timeout: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"TokenURL", "ClientID", "KeyFile", "Timeout"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	noCanary(t, err)
}

// noCanary looks for canary text in every way an error is printed.
func noCanary(t *testing.T, err error) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, err); strings.Contains(text, "CANARY") {
			t.Errorf("%s leaks: %s", verb, text)
		}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if text := string(must(json.Marshal(e))); strings.Contains(text, "CANARY") {
			t.Errorf("JSON leaks: %s", text)
		}
	}
}

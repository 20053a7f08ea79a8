package redoxclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// DefaultTokenURL is Redox's token endpoint in the US.
const DefaultTokenURL = "https://api.redoxengine.com/v2/auth/token"

const (
	// earliest and the quarter below: a token is renewed that long before its end.
	earliest = time.Minute
	// shareFailure is how long a failed fetch answers for the endpoint.
	shareFailure = time.Second
	// shareRefusal is the same for a client that was refused, which only a
	// change of configuration or of the key file can mend.
	shareRefusal = 10 * time.Second
	tokenTimeout = 30 * time.Second
	// throttleTimeout bounds a fetch's wait for the Throttle: in the window in
	// which Redox counts (five minutes; Redox docs, "Rate limits") it gets the
	// right to a request, or something else is wrong.
	throttleTimeout = 5 * time.Minute
)

// TokenConfig says who asks whom for tokens.
type TokenConfig struct {
	ClientID string
	// KeyFile is a PEM file (PKCS#1, PKCS#8, SEC1), a JWK or a JWK set with an
	// RSA key of at least 2048 bits (RS384) or a P-384 key (ES384). It may be
	// replaced while the source is in use.
	KeyFile string
	// KeyID is the kid; it may be empty where the JWK has one.
	KeyID string
	// TokenURL defaults to DefaultTokenURL, Audience to TokenURL.
	TokenURL, Audience string
	// Scope is only needed by old keys.
	Scope string
	TLS   *tls.Config
	// Timeout bounds one fetch, default 30 s. A wait for the Throttle comes
	// before it and ends after five minutes.
	Timeout time.Duration
	// OnKeyError hears of a changed key file that cannot be used, once of each;
	// the old key stays. It is called from the fetch, one call at a time.
	OnKeyError func(error)
	// Throttle, unless nil, is asked before each fetch and told of its answer.
	Throttle Throttle
	// Observe, unless nil, is told of each fetch that was made.
	Observe Observe
	Now     func() time.Time

	transport http.RoundTripper // a test's, in place of a real one
}

// TokenSource gives tokens of one client. It is an oauth2.TokenSource and safe
// for concurrent use. A token is shared by all callers and so is its fetch; a
// fetch ends by its own timeout and not with the caller that began it.
type TokenSource struct {
	cfg       TokenConfig
	url       *url.URL
	transport http.RoundTripper

	key keyFile // belongs to the fetch in flight; its path never changes

	mu       sync.Mutex // guards what follows
	current  *grant
	inFlight *fetch
	failed   *failure
}

// grant is a token and its times.
type grant struct {
	token *oauth2.Token
	asked time.Time
	// From renew on a new one is fetched while this one is still given out;
	// from stale on callers wait for the new one; at Expiry it is dead.
	renew, stale time.Time
}

type fetch struct {
	done chan struct{}
	err  error
	got  *grant
}

type failure struct {
	err   error
	until time.Time
	key   os.FileInfo // the key file at the time of a refusal, of use or not; else nil
}

var _ oauth2.TokenSource = (*TokenSource)(nil)

// NewTokenSource checks the whole config, reads the key, and asks for nothing
// yet. All faults are reported at once, each with the field's name.
func NewTokenSource(cfg TokenConfig) (*TokenSource, error) {
	cfg.TokenURL = cmp.Or(cfg.TokenURL, DefaultTokenURL)
	cfg.Audience = cmp.Or(cfg.Audience, cfg.TokenURL)
	cfg.Timeout = cmp.Or(cfg.Timeout, tokenTimeout)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &TokenSource{cfg: cfg, key: keyFile{path: cfg.KeyFile, kid: cfg.KeyID}, transport: cfg.transport}
	u, urlErr := parseBase(cfg.TokenURL)
	_, keyErr := s.key.refresh()
	err := errors.Join(
		field("TokenURL", urlErr),
		field("ClientID", requirePlain(cfg.ClientID)),
		field("KeyFile", keyErr),
		field("TLS", requireVerify(cfg.TLS)),
		field("Timeout", requirePositive(cfg.Timeout)),
	)
	if err != nil {
		return nil, err
	}
	s.url = u
	if s.transport == nil {
		t := newTransport(Timeouts{}.withDefaults(), cfg.TLS, 1)
		t.DisableKeepAlives = true // minutes lie between two fetches
		s.transport = t
	}
	return s, nil
}

// Token is TokenContext without an end.
func (s *TokenSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext gives a token that is good for a while yet. Errors are *Error of
// the operation OpToken. A failure is shared for a second, a refused client for
// ten (or until the key file changes), so that no number of callers can hammer
// the endpoint.
func (s *TokenSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, interrupted(ctx)
	}
	s.mu.Lock()
	now := s.cfg.Now()
	if s.current != nil && now.Before(s.current.renew) {
		defer s.mu.Unlock()
		return s.current.copy(), nil
	}
	failed := s.failing(now)
	if s.current != nil && now.Before(s.current.stale) {
		defer s.mu.Unlock()
		if failed == nil {
			s.begin()
		}
		return s.current.copy(), nil
	}
	if failed != nil {
		defer s.mu.Unlock()
		return s.lastResort(failed)
	}
	f := s.begin()
	s.mu.Unlock()
	return s.wait(ctx, f)
}

func (s *TokenSource) wait(ctx context.Context, f *fetch) (*oauth2.Token, error) {
	select {
	case <-ctx.Done():
		return nil, interrupted(ctx)
	case <-f.done:
	}
	if f.err == nil {
		return f.got.copy(), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastResort(f.err)
}

// lastResort gives the old token while it lives, however briefly.
func (s *TokenSource) lastResort(err error) (*oauth2.Token, error) {
	if s.current != nil && s.cfg.Now().Before(s.current.token.Expiry) {
		return s.current.copy(), nil
	}
	return nil, err
}

// Invalidate drops accessToken if it is still the cached one: of many callers
// whose token was refused only the first has an effect.
func (s *TokenSource) Invalidate(accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.token.AccessToken == accessToken {
		s.current = nil
	}
}

// Times are when the token in use was asked for and when it ends; zero where
// there is none.
func (s *TokenSource) Times() (asked, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return time.Time{}, time.Time{}
	}
	return s.current.asked, s.current.token.Expiry
}

// failing is the failure that still answers for the endpoint, if there is one.
func (s *TokenSource) failing(now time.Time) error {
	f := s.failed
	if f == nil || !now.Before(f.until) {
		return nil
	}
	if f.key != nil && s.key.changedSince(f.key) {
		return nil
	}
	return f.err
}

// begin joins the fetch in flight or starts one. mu is held.
func (s *TokenSource) begin() *fetch {
	if s.inFlight == nil {
		s.inFlight = &fetch{done: make(chan struct{})}
		go s.run(s.inFlight)
	}
	return s.inFlight
}

// run is one fetch. Its times are its own: the caller that began it may leave.
func (s *TokenSource) run(f *fetch) {
	got, key, err := s.fetch()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight, s.failed = nil, nil
	if err != nil {
		f.err, s.failed = err, s.failure(err, key)
	} else {
		f.got, s.current = got, got
	}
	close(f.done)
}

func (s *TokenSource) failure(err *Error, key os.FileInfo) *failure {
	share := max(shareFailure, err.RetryAfter)
	f := &failure{err: err, until: s.cfg.Now().Add(min(share, time.Minute))}
	if err.Kind == Credentials {
		f.until, f.key = s.cfg.Now().Add(shareRefusal), key
	}
	return f
}

func (g *grant) copy() *oauth2.Token {
	t := *g.token
	return &t
}

func interrupted(ctx context.Context) *Error {
	return &Error{Kind: Interrupted, Op: OpToken, Where: BeforeSending, Code: CodeCancelled, cause: context.Cause(ctx)}
}

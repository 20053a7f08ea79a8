package redoxclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"golang.org/x/oauth2"
)

const (
	// assertionLife is between iat and exp: below the 300 s that Redox allows.
	assertionLife = 4 * time.Minute
	// assertionSkew is how far iat lies in the past. A server that takes no iat of
	// the future, not even one of the next second, then takes that of a worker
	// whose clock is up to a minute fast; exp leaves three minutes to one whose
	// clock is slow. What Redox allows is not documented (our inference).
	assertionSkew = time.Minute
	// unsaidLife is assumed when an answer has no usable expires_in. Redox
	// documents 300 s; a minute is safe for anything near it.
	unsaidLife = time.Minute
	// longestLife bounds what is believed.
	longestLife = 24 * time.Hour
	// tokenAnswerLimit bounds an answer of the token endpoint, in bytes.
	tokenAnswerLimit = 64 << 10
	maxAccessToken   = 16 << 10
)

// fetch asks for one token with a new assertion. It also gives the key file as
// it was when the assertion was signed.
func (s *TokenSource) fetch() (*grant, os.FileInfo, *Error) {
	if err := s.permit(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
	defer cancel()
	asked := s.cfg.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { left(s.cfg.Throttle, asked, s.cfg.Now()) },
	})
	key, info := s.signingKey()
	assertion, err := s.assertion(key, asked)
	if err != nil {
		return nil, info, s.tokenError(key.id, Credentials, CodeKey, err)
	}
	resp, err := s.transport.RoundTrip(s.request(ctx, assertion))
	s.cfg.Observe.tell(OpToken, resp, s.cfg.Now().Sub(asked))
	if err != nil {
		code := breakCode(err, true)
		if ctx.Err() != nil {
			code = CodeAnswerTimeout
		}
		return nil, info, s.tokenError(key.id, Retryable, code, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	ruling := hear(s.cfg.Throttle, LimitSaid{
		Op: OpToken, Limit: rateLimit(resp.Header),
		Refused: resp.StatusCode == http.StatusTooManyRequests, RetryAfter: retryAfter(resp.Header, s.cfg.Now()),
	})
	body, err := readAnswer(resp.Header, resp.Body, tokenAnswerLimit)
	got, refused := s.judge(key.id, resp, body, err, asked)
	if refused != nil {
		refused.Ruling = ruling
	}
	return got, info, refused
}

// permit waits for the right to the fetch's request. No caller's context is in
// it, so that its end interrupts nobody.
func (s *TokenSource) permit() *Error {
	ctx, cancel := context.WithTimeout(context.Background(), throttleTimeout)
	defer cancel()
	err := throttled(ctx, s.cfg.Throttle, OpToken)
	if err != nil && err.Kind == Interrupted {
		err.Kind, err.Code = Retryable, CodeThrottled
	}
	return err
}

// signingKey is the current key, read again if its file changed, and the file
// that was looked at for it, whether or not the key is from there: only another
// file can change the answer.
func (s *TokenSource) signingKey() (*signingKey, os.FileInfo) {
	if again, err := s.key.refresh(); err != nil && !again && s.cfg.OnKeyError != nil {
		s.cfg.OnKeyError(err)
	}
	return s.key.current, s.key.looked
}

func (s *TokenSource) assertion(key *signingKey, now time.Time) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: key.alg, Key: jose.JSONWebKey{Key: key.key, KeyID: key.id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	issued := now.Add(-assertionSkew)
	claims, err := json.Marshal(map[string]any{
		"iss": s.cfg.ClientID,
		"sub": s.cfg.ClientID,
		"aud": s.cfg.Audience,
		"iat": issued.Unix(),
		"exp": issued.Add(assertionLife).Unix(),
		"jti": uuid.NewString(), // a repeated one may be refused
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *TokenSource) request(ctx context.Context, assertion string) *http.Request {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	if s.cfg.Scope != "" {
		form.Set("scope", s.cfg.Scope)
	}
	// No GetBody: an assertion is good for one request.
	body := form.Encode()
	return (&http.Request{
		Method:        http.MethodPost,
		URL:           s.url,
		Host:          s.url.Host,
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
		Header: http.Header{
			"Content-Type":    {"application/x-www-form-urlencoded"},
			"Accept":          {"application/json"},
			"Accept-Encoding": {"identity"},
			"User-Agent":      {DefaultUserAgent},
		},
	}).WithContext(ctx)
}

// tokenAnswer is RFC 6749, 5.1 and 5.2.
type tokenAnswer struct {
	AccessToken string          `json:"access_token"`
	TokenType   string          `json:"token_type"`
	ExpiresIn   json.RawMessage `json:"expires_in"`
	Error       string          `json:"error"`
}

// oauthErrors are the codes of RFC 6749; no other text is passed on.
var oauthErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type", "invalid_scope", "access_denied", "server_error", "temporarily_unavailable",
}

func (s *TokenSource) judge(kid string, resp *http.Response, body []byte, readErr error, asked time.Time) (*grant, *Error) {
	var ans tokenAnswer
	parseErr := errors.Join(readErr, json.Unmarshal(body, &ans))
	kind, code := Retryable, CodeTokenUnreadable
	switch {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated:
		kind, code = judgeTokenStatus(resp.StatusCode, ans.Error), CodeTokenRefused
		if kind == Retryable {
			code = CodeStatus
		}
	case parseErr != nil, !usableToken(ans):
	default:
		return newGrant(ans, asked), nil
	}
	e := s.tokenError(kid, kind, code, parseErr)
	e.Where = Answered
	e.Reply = Reply{
		Status:      resp.StatusCode,
		RetryAfter:  retryAfter(resp.Header, s.cfg.Now()),
		RateLimit:   rateLimit(resp.Header),
		TraceID:     safeID(resp.Header.Get("Redox-Trace-Id")),
		ContentType: safeMediaType(resp.Header.Get("Content-Type")),
		Length:      int64(len(body)),
	}
	if kind == Retryable {
		e.hint = statusHint(resp.StatusCode)
	}
	if slices.Contains(oauthErrors, ans.Error) {
		e.IssueCodes = []string{ans.Error}
	}
	return nil, e
}

// judgeTokenStatus: which status goes with which error is not documented, so
// every refusal that does not pass is a fault of configuration.
func judgeTokenStatus(status int, oauthError string) Kind {
	kind := judgeStatus(OpToken, status, true)
	switch {
	case kind == RateLimited, kind == Retryable:
		return kind
	case oauthError == "server_error", oauthError == "temporarily_unavailable":
		return Retryable
	}
	return Credentials
}

func usableToken(ans tokenAnswer) bool {
	bearer := ans.TokenType == "" || strings.EqualFold(ans.TokenType, "bearer")
	return bearer && ans.AccessToken != "" && len(ans.AccessToken) <= maxAccessToken && plainURLText(ans.AccessToken)
}

// newGrant counts the token's life from the moment it was asked for.
func newGrant(ans tokenAnswer, asked time.Time) *grant {
	life := lifetime(ans.ExpiresIn)
	early := min(earliest, life/4)
	end := asked.Add(life)
	return &grant{
		token: &oauth2.Token{AccessToken: ans.AccessToken, TokenType: "Bearer", Expiry: end},
		asked: asked,
		renew: end.Add(-early),
		stale: end.Add(-early / 4),
	}
}

// lifetime reads seconds as a number or a string.
func lifetime(raw json.RawMessage) time.Duration {
	secs, err := strconv.ParseFloat(string(bytes.Trim(raw, `" `)), 64)
	if err != nil || !(secs >= 1) {
		return unsaidLife
	}
	return time.Duration(min(secs, longestLife.Seconds()) * float64(time.Second))
}

func (s *TokenSource) tokenError(kid string, kind Kind, code string, cause error) *Error {
	e := &Error{Kind: kind, Op: OpToken, Where: BeforeSending, Code: code, cause: cause}
	if kind == Credentials {
		e.hint = fmt.Sprintf("client %q with key %q was not accepted: check that this key is registered for this client, "+
			"and the key id, the token URL, the audience and this machine's clock", s.cfg.ClientID, kid)
	}
	return e
}

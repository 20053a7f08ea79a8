package redoxsim

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const (
	tokenPath     = "/v2/auth/token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	tokenLimit    = 64 << 10
)

// oauthError is an error answer of RFC 6749, section 5.2.
func oauthError(status int, code, description, rule string) *answer {
	body := object{"error": code}
	if description != "" {
		body["error_description"] = description
	}
	a := jsonAnswer(status, body)
	a.header = map[string]string{"Cache-Control": "no-store"}
	a.refused = []string{rule}
	return a
}

func invalidRequest(rule string) *answer {
	return oauthError(http.StatusBadRequest, "invalid_request", rule, rule)
}

// invalidClient looks the same on the wire whatever was wrong; only the request
// log of the simulator says which rule it was.
func invalidClient(rule string) *answer {
	return oauthError(http.StatusUnauthorized, "invalid_client", "", rule)
}

// serveToken is the client credentials grant with a signed assertion.
func (s *Server) serveToken(x *exchange) *answer {
	media, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return invalidRequest("form-content-type")
	}
	raw, err := io.ReadAll(x.body(tokenLimit))
	if err != nil {
		return x.broken(err, invalidRequest("form-too-large"))
	}
	if !x.afterBody() {
		return nil
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return invalidRequest("form-malformed")
	}
	for _, values := range form {
		if len(values) != 1 { // RFC 6749, section 3.2
			return invalidRequest("form-parameter-repeated")
		}
	}
	switch {
	case form.Get("grant_type") == "":
		return invalidRequest("grant-type-missing")
	case form.Get("grant_type") != "client_credentials":
		return oauthError(http.StatusBadRequest, "unsupported_grant_type", "", "grant-type")
	case form.Get("client_assertion_type") != assertionType:
		return invalidRequest("client-assertion-type")
	case form.Get("client_assertion") == "":
		return invalidRequest("client-assertion-missing")
	}
	c, refused := s.authenticate(form.Get("client_assertion"), s.audienceFor(x.r))
	if refused != nil {
		return refused
	}
	if id := form.Get("client_id"); id != "" && id != c.id {
		return invalidClient("client-id-differs")
	}
	return s.issue(c, form.Get("scope"))
}

// audienceFor is the token URL the assertion must name.
func (s *Server) audienceFor(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audience != "" {
		return s.audience
	}
	if r.TLS != nil {
		return "https://" + r.Host + tokenPath
	}
	return "http://" + r.Host + tokenPath
}

func (s *Server) issue(c *client, scope string) *answer {
	var random [32]byte
	_, _ = rand.Read(random[:])
	token := base64.RawURLEncoding.EncodeToString(random[:])
	now := s.cfg.Now()
	s.mu.Lock()
	for old, g := range s.tokens {
		if len(s.tokens) < 1000 {
			break
		}
		if !now.Before(g.expires) {
			delete(s.tokens, old)
		}
	}
	s.tokens[token] = grant{client: c, expires: now.Add(s.cfg.TokenLifetime)}
	s.mu.Unlock()
	a := jsonAnswer(http.StatusOK, object{
		"access_token": token, "token_type": "Bearer",
		"expires_in": int(s.cfg.TokenLifetime.Seconds()), "scope": scope,
	})
	a.header = map[string]string{"Cache-Control": "no-store"}
	return a
}

// authorize checks the bearer token before anything of the body is read.
func (x *exchange) authorize() bool {
	scheme, token, ok := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	g, ok := x.s.tokens[token]
	if !ok || !x.s.cfg.Now().Before(g.expires) {
		return false
	}
	x.client = g.client
	return !g.client.user || x.t.kind == PlatformRequest
}

// unauthorized is the answer to a missing, unknown, expired or revoked token.
func unauthorized() *answer {
	a := refuseFHIR(http.StatusUnauthorized, "token")
	a.header["WWW-Authenticate"] = `Bearer error="invalid_token"`
	return a
}

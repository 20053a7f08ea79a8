package redoxsim

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionLife = 300 * time.Second
	// clockSkew is how far in the future iat may lie (our assumption), unless
	// Config.StrictClock allows nothing.
	clockSkew = 5 * time.Second
)

// authenticate verifies a client assertion: RFC 7523 with the limits Redox
// documents. A refusal is the same on the wire for every rule but a missing kid.
func (s *Server) authenticate(assertion, audience string) (*client, *answer) {
	token, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil || len(token.Headers) != 1 {
		return nil, invalidClient("assertion-unreadable-or-alg")
	}
	header := token.Headers[0]
	if header.KeyID == "" {
		return nil, oauthError(http.StatusUnauthorized, "invalid_client", "kid is missing in the header of the assertion", "assertion-kid-missing")
	}
	if header.ExtraHeaders[jose.HeaderType] != "JWT" {
		return nil, invalidClient("assertion-typ")
	}
	var claimed jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claimed); err != nil {
		return nil, invalidClient("assertion-claims")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[claimed.Issuer]
	if c == nil {
		return nil, invalidClient("assertion-client")
	}
	var claims jwt.Claims
	if err := token.Claims(c.keys[header.KeyID], &claims); err != nil || c.keys[header.KeyID] == nil {
		return nil, invalidClient("assertion-key-or-signature")
	}
	if rule := s.judge(claims, audience); rule != "" {
		return nil, invalidClient(rule)
	}
	return c, nil
}

// judge checks verified claims and remembers the jti; the caller holds the lock.
func (s *Server) judge(c jwt.Claims, audience string) string {
	now := s.cfg.Now()
	latest := now.Add(clockSkew)
	if s.cfg.StrictClock {
		latest = now
	}
	switch {
	case c.Subject != c.Issuer:
		return "assertion-sub"
	case !slices.Contains(c.Audience, audience):
		return "assertion-aud"
	case c.IssuedAt == nil || c.Expiry == nil:
		return "assertion-iat-exp-missing"
	case c.Expiry.Time().Sub(c.IssuedAt.Time()) > assertionLife:
		return "assertion-lives-too-long"
	case !c.Expiry.Time().After(now):
		return "assertion-expired"
	case c.IssuedAt.Time().After(latest):
		return "assertion-iat-in-future"
	case c.NotBefore != nil && c.NotBefore.Time().After(latest):
		return "assertion-nbf"
	case c.ID == "":
		return "assertion-jti-missing"
	}
	key := c.Issuer + "\x00" + c.ID
	if _, seen := s.replays[key]; seen {
		return "assertion-replayed"
	}
	if len(s.replays) > 1000 {
		for k, until := range s.replays {
			if !until.After(now) {
				delete(s.replays, k)
			}
		}
	}
	s.replays[key] = c.Expiry.Time()
	return ""
}

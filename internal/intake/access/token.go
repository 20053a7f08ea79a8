package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

// algorithms are those that a token may be signed with: none is symmetric, and "none" is
// none of them. The token's header chooses among them; the key must fit, since go-jose
// takes no key for an algorithm of another kind.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

const (
	// mostToken bounds a token in bytes.
	mostToken = 8 << 10
	// clockSlack is how far the provider's clock and ours may be apart.
	clockSlack = 30 * time.Second
)

// TokenSettings say which tokens are good.
type TokenSettings struct {
	// Issuer is the provider's URL, as its tokens have it in "iss".
	Issuer string
	// Audience must be among those of "aud".
	Audience string
	// Destinations, Classes and Files name the claims that hold them; each a list of
	// strings, or one string of words. They count for callers that no list names.
	Destinations, Classes, Files string
}

// Tokens verifies the tokens of one OpenID Connect provider.
type Tokens struct {
	settings TokenSettings
	keys     *keys
	now      func() time.Time
}

// NewTokens asks no server yet: the provider's keys are read when the first token comes.
func NewTokens(s TokenSettings, client HTTPClient, now func() time.Time) *Tokens {
	return &Tokens{settings: s, keys: newKeys(s.Issuer, client, now), now: now}
}

var (
	errToken    = errors.New("the token cannot be read, or is signed in a way that is not taken")
	errKey      = errors.New("no key of the provider's fits the token")
	errSigned   = errors.New("the signature is not the provider's")
	errClaims   = errors.New("issuer, audience or times of the token are not those that are taken")
	errNoExpiry = errors.New("the token has no expiry or no subject")
)

// claims are what a verified token says.
type claims map[string]any

// verify gives the claims of a good token. No error holds a part of the token.
func (t *Tokens) verify(ctx context.Context, raw string) (claims, error) {
	if len(raw) > mostToken {
		return nil, errToken
	}
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errToken
	}
	key, err := t.keys.find(ctx, token.Headers[0])
	if err != nil {
		return nil, err
	}
	var registered jwt.Claims
	all := claims{}
	if token.Claims(key, &registered, &all) != nil {
		return nil, errSigned
	}
	if registered.Expiry == nil || registered.Subject == "" {
		return nil, errNoExpiry
	}
	expected := jwt.Expected{Issuer: t.settings.Issuer, AnyAudience: jwt.Audience{t.settings.Audience}, Time: t.now()}
	if registered.ValidateWithLeeway(expected, clockSlack) != nil {
		return nil, errClaims
	}
	return all, nil
}

// grant is what the token itself says that its caller may do.
func (t *Tokens) grant(c claims) intake.Grant {
	g := intake.Grant{Caller: subjectName(c.text("sub")), Files: c.list(t.settings.Files)}
	for _, d := range c.list(t.settings.Destinations) {
		if d == intake.All || schemas.ValidAddress(d) {
			g.Destinations = append(g.Destinations, d)
		}
	}
	classes := c.list(t.settings.Classes)
	for _, class := range both {
		if slices.Contains(classes, string(class)) {
			g.Classes = append(g.Classes, class)
		}
	}
	return g
}

// subjectName names a caller by its subject, a long one by its SHA-256. No name in a list of
// callers has a colon, and no short subject gives that of a long one, so that none can pass
// for another.
func subjectName(subject string) string {
	name := schemas.Token(subject)
	if len(name) > 64 {
		sum := sha256.Sum256([]byte(subject))
		return "sub256:" + hex.EncodeToString(sum[:])
	}
	return "sub:" + name
}

// expiry is when the token expires; verify makes sure that it says so.
func (c claims) expiry() time.Time {
	seconds, _ := c["exp"].(float64)
	return time.Unix(int64(seconds), 0)
}

func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// list reads a claim that is a list of strings, or one string of words.
func (c claims) list(name string) []string {
	if name == "" {
		return nil
	}
	switch v := c[name].(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// have reports whether all of the wanted claims are there, with these values or among
// others in a list.
func (c claims) have(wanted map[string]string) bool {
	for name, value := range wanted {
		list, _ := c[name].([]any)
		if c.text(name) != value && !slices.Contains(list, any(value)) {
			return false
		}
	}
	return true
}

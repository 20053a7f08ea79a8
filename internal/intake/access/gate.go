// Package access says who a caller of the intake is, what it may do, and how much of it.
//
// A caller shows a client certificate or a token of an OpenID Connect provider. On
// loopback neither is needed. Whoever is not known is refused in the same words, whatever
// is wrong.
package access

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

// Credentials are what a caller shows. Both may be there: then both must be good, and the
// token decides.
type Credentials struct {
	// Token is that of the Authorization header, without "Bearer".
	Token string
	// Certificate was verified against the authority of clients; nil where there is none.
	Certificate *x509.Certificate
}

// Gate knows the callers.
type Gate struct {
	open    *intake.Grant
	tokens  *Tokens
	callers Callers
	uploads string
}

// Settings say who is let in.
type Settings struct {
	// Open lets everybody in, as a caller of everything. It is for loopback alone.
	Open bool
	// Tokens verifies tokens; nil takes none.
	Tokens *Tokens
	// Callers are those that an operator listed.
	Callers Callers
	// Uploads is where files of callers go, "bucket" or "bucket/prefix/"; empty is nowhere.
	Uploads string
}

// New makes a Gate.
func New(s Settings) *Gate {
	g := &Gate{tokens: s.Tokens, callers: s.Callers, uploads: s.Uploads}
	if s.Open {
		g.open = &intake.Grant{Caller: "local", Destinations: []string{intake.All}, Classes: both, Files: []string{intake.All}}
		g.open.Folder = g.folder(g.open.Caller)
	}
	return g
}

var both = []schemas.Class{schemas.Live, schemas.Backfill}

// Enter gives what a caller may do. The error is a *intake.Refusal of the kind
// Unauthenticated, or Forbidden where the caller is known and may do nothing.
func (g *Gate) Enter(ctx context.Context, c Credentials) (intake.Grant, error) {
	grant, err := g.enter(ctx, c)
	if err != nil {
		return intake.Grant{}, err
	}
	if len(grant.Destinations) == 0 || len(grant.Classes) == 0 {
		return intake.Grant{Caller: grant.Caller}, &intake.Refusal{Kind: intake.Forbidden, Code: "caller_forbidden", Detail: "this caller is known, and has no destination or no class"}
	}
	grant.Folder = g.folder(grant.Caller)
	return grant, nil
}

func (g *Gate) enter(ctx context.Context, c Credentials) (intake.Grant, error) {
	switch {
	case c.Token != "" && g.tokens != nil:
		claims, err := g.tokens.verify(ctx, c.Token)
		if err != nil {
			return intake.Grant{}, refused(err)
		}
		grant := g.tokens.grant(claims)
		if caller, ok := g.callers.ofToken(claims); ok {
			grant = caller.grant()
		}
		grant.Until = claims.expiry()
		return grant, nil
	case c.Token != "":
		return intake.Grant{}, unauthenticated(errors.New("no tokens are taken"))
	case c.Certificate != nil:
		caller, ok := g.callers.ofCertificate(c.Certificate)
		if !ok {
			return intake.Grant{}, unauthenticated(errors.New("the certificate is of no caller in the list"))
		}
		grant := caller.grant()
		grant.Until = c.Certificate.NotAfter
		return grant, nil
	case g.open != nil:
		return *g.open, nil
	}
	return intake.Grant{}, unauthenticated(errors.New("no credentials"))
}

// folder is where the uploads of a caller go: each has its own.
func (g *Gate) folder(caller string) string {
	if g.uploads == "" {
		return ""
	}
	place := g.uploads
	if !slices.Contains([]byte(place), '/') {
		place += "/"
	}
	return place + schemas.Token(caller) + "/"
}

// refused keeps a refusal that is none of the caller's fault.
func refused(err error) error {
	if r, ok := errors.AsType[*intake.Refusal](err); ok {
		return r
	}
	return unauthenticated(err)
}

func unauthenticated(cause error) *intake.Refusal {
	return &intake.Refusal{Kind: intake.Unauthenticated, Code: "unauthenticated", Detail: "show a client certificate or a bearer token that this server knows", Cause: cause}
}

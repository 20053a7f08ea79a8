package access

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/schemas"
)

func codeOf(err error) string {
	if r, ok := errors.AsType[*intake.Refusal](err); ok {
		return r.Code
	}
	return ""
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	one, two := newRSA(t, "one"), newEC(t, "two")
	p.publish(one, two)
	gate := New(Settings{Tokens: p.tokens(time.Now), Uploads: "incoming/all/"})
	for _, s := range []signer{one, two} {
		g, err := gate.Enter(t.Context(), Credentials{Token: s.sign(t, p.good("chartpost_files", []string{"reports/lab/"}))})
		must(t, err)
		if g.Caller != "sub:lab_40example_2Eorg" || !g.Allows(schemas.Lane{Class: schemas.Backfill, Destination: "good-health"}) || time.Until(g.Until) > time.Hour || time.Until(g.Until) < 50*time.Minute || g.Reaches("bad address") || g.Reaches("other") || g.Everywhere() {
			t.Errorf("%+v", g)
		}
		if g.Folder != "incoming/all/sub_3Alab_5F40example_5F2Eorg/" || !g.MayName(schemas.File{Bucket: "reports", Key: "lab/a.pdf"}) || !g.MayName(schemas.File{Bucket: "incoming", Key: "all/sub_3Alab_5F40example_5F2Eorg/a"}) ||
			g.MayName(schemas.File{Bucket: "incoming", Key: "all/x/a"}) || g.MayName(schemas.File{Bucket: "reports", Key: "other/a.pdf"}) {
			t.Errorf("%+v", g)
		}
	}
	for what, c := range map[string]map[string]any{"no destination": p.good("chartpost_destinations", nil), "no class": p.good("chartpost_classes", []string{"LIVE"})} {
		if _, err := gate.Enter(t.Context(), Credentials{Token: one.sign(t, c)}); codeOf(err) != "caller_forbidden" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestNoSubjectPassesForAnother: a caller's name is that of its quota and its folder.
func TestNoSubjectPassesForAnother(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 65)
	sum := sha256.Sum256([]byte(long))
	seen := map[string]string{}
	for _, subject := range []string{long, hex.EncodeToString(sum[:]), "a_b", "a_5Fb", "a.b", "A.b", strings.Repeat("_", 64)} {
		name := subjectName(subject)
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q are both %s", subject, other, name)
		}
		seen[name] = subject
	}
}

// TestForeignTokens: of other issuers and audiences, expired, unsigned, signed with
// another key, or by a public key that is used as a secret.
func TestForeignTokens(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	one, two, stranger := newRSA(t, "one"), newEC(t, "two"), newRSA(t, "one")
	p.publish(one, two)
	gate := New(Settings{Tokens: p.tokens(time.Now)})
	hour := time.Hour
	ago, ahead := time.Now().Add(-hour).Unix(), time.Now().Add(hour).Unix()
	public := x509.MarshalPKCS1PublicKey(one.key.Public().(*rsa.PublicKey))
	spki, err := x509.MarshalPKIXPublicKey(one.key.Public())
	must(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	head := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	whole := one.sign(t, p.good())
	parts := strings.Split(whole, ".")
	renamed := one
	renamed.id = "unknown"
	weak := signer{"one", jose.ES256, two.key}
	for name, token := range map[string]string{
		"issuer":                    one.sign(t, p.good("iss", "https://elsewhere.example")),
		"no issuer":                 one.sign(t, p.good("iss", nil)),
		"audience":                  one.sign(t, p.good("aud", "elsewhere")),
		"no audience":               one.sign(t, p.good("aud", nil)),
		"expired":                   one.sign(t, p.good("exp", ago)),
		"no expiry":                 one.sign(t, p.good("exp", nil)),
		"no subject":                one.sign(t, p.good("sub", nil)),
		"not yet":                   one.sign(t, p.good("nbf", ahead)),
		"made tomorrow":             one.sign(t, p.good("iat", ahead)),
		"a stranger's key":          stranger.sign(t, p.good()),
		"unknown key":               renamed.sign(t, p.good()),
		"another kind":              weak.sign(t, p.good()),
		"public key as HMAC secret": signed(t, jose.HS256, public, "one", p.good()),
		"its PEM as HMAC secret":    signed(t, jose.HS256, asPEM, "one", p.good()),
		"none":                      head(`{"alg":"none","kid":"one"}`) + "." + parts[1] + ".",
		"None":                      head(`{"alg":"None"}`) + "." + parts[1] + ".",
		"HS256 in the header":       head(`{"alg":"HS256","kid":"one"}`) + "." + parts[1] + "." + parts[2],
		"an embedded key":           head(`{"alg":"RS256","jwk":{"kty":"oct","k":"YQ"}}`) + "." + parts[1] + "." + parts[2],
		"other claims":              parts[0] + "." + head(`{"iss":"`+p.server.URL+`","aud":"chartpost","sub":"x","exp":9999999999}`) + "." + parts[2],
		"no signature":              parts[0] + "." + parts[1] + ".",
		"cut":                       whole[:len(whole)-4],
		"text":                      "secret",
		"large":                     strings.Repeat("a", 9000),
		"two of one":                whole + "." + parts[2],
		"JSON serialization":        `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
	} {
		_, err := gate.Enter(t.Context(), Credentials{Token: token})
		if codeOf(err) != "unauthenticated" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := gate.Enter(t.Context(), Credentials{Token: whole}); err != nil {
		t.Errorf("the good one: %v", err)
	}
	// However many keys are invented, the provider is asked seldom.
	if n := p.asked.Load(); n > 2 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestKeysChange: a withdrawn key is refused after a while, a new one is taken at once, and
// a provider that is away keeps no caller out for an hour.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	old, renewed := newRSA(t, "old"), newRSA(t, "new")
	p.publish(old)
	now := time.Now()
	tokens := p.tokens(func() time.Time { return now })
	enters := func(s signer) string {
		_, err := tokens.verify(t.Context(), s.sign(t, p.good("exp", now.Add(24*time.Hour).Unix())))
		if r := codeOf(err); r != "" {
			return r
		}
		if err != nil {
			return err.Error()
		}
		return "in"
	}
	if got := enters(old); got != "in" {
		t.Fatal(got)
	}
	p.publish(renewed)
	if got := enters(renewed); got != errKey.Error() {
		t.Errorf("a new key within the pause: %s", got)
	}
	now = now.Add(keysPause)
	if got := enters(renewed); got != "in" {
		t.Errorf("a new key: %s", got)
	}
	if got := enters(old); got != errKey.Error() {
		t.Errorf("a withdrawn key: %s", got)
	}
	p.down.Store(true)
	now = now.Add(keysStale - time.Minute)
	if got := enters(renewed); got != "in" {
		t.Errorf("while the provider is away: %s", got)
	}
	now = now.Add(2 * time.Minute)
	if got := enters(renewed); got != "provider_unavailable" {
		t.Errorf("after an hour: %s", got)
	}
	if got := enters(renewed); got != "provider_unavailable" {
		t.Errorf("a moment later, without another look: %s", got)
	}
	p.down.Store(false)
	p.publish(renewed, old)
	now = now.Add(keysPause)
	if got := enters(old); got != "in" {
		t.Errorf("when it is back: %s", got)
	}
	p.publish(renewed)
	now = now.Add(keysFresh + time.Second)
	if got := enters(old); got != errKey.Error() {
		t.Errorf("a key withdrawn in silence: %s", got)
	}
}

// TestAProviderThatIsAway is told as such, and asked by one at a time.
func TestAProviderThatIsAway(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.down.Store(true)
	one := newEC(t, "one")
	tokens := p.tokens(time.Now)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := tokens.verify(t.Context(), one.sign(t, p.good())); codeOf(err) != "provider_unavailable" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

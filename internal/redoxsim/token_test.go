package redoxsim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// refusal checks the one answer that every wrong assertion gets.
func refusal(t *testing.T, b *bench, got reply, rule string) {
	t.Helper()
	requests := b.sim.Requests()
	if len(requests) == 0 {
		t.Fatal("nothing in the request log")
	}
	last := requests[len(requests)-1]
	if len(last.Refused) != 1 || last.Refused[0] != rule {
		t.Errorf("refused by %v, want %s", last.Refused, rule)
	}
	if want := `{"error":"invalid_client"}`; got.status != 401 || string(got.body) != want {
		t.Errorf("answer %d %s, want 401 %s", got.status, got.body, want)
	}
}

func TestRefusedClaims(t *testing.T) {
	now := time.Now()
	cases := map[string]struct {
		rule  string
		spoil map[string]any
	}{
		"unknown client":    {"assertion-client", map[string]any{"iss": "other", "sub": "other"}},
		"sub differs":       {"assertion-sub", map[string]any{"sub": "other"}},
		"no sub":            {"assertion-sub", map[string]any{"sub": nil}},
		"wrong audience":    {"assertion-aud", map[string]any{"aud": "https://api.redoxengine.com/v2/auth/token"}},
		"no audience":       {"assertion-aud", map[string]any{"aud": nil}},
		"no iat":            {"assertion-iat-exp-missing", map[string]any{"iat": nil}},
		"no exp":            {"assertion-iat-exp-missing", map[string]any{"exp": nil}},
		"301 seconds":       {"assertion-lives-too-long", map[string]any{"exp": now.Unix() + 301, "iat": now.Unix()}},
		"expired":           {"assertion-expired", map[string]any{"exp": now.Unix() - 1, "iat": now.Unix() - 100}},
		"issued in future":  {"assertion-iat-in-future", map[string]any{"iat": now.Unix() + 60, "exp": now.Unix() + 100}},
		"not yet valid":     {"assertion-nbf", map[string]any{"nbf": now.Unix() + 60}},
		"no jti":            {"assertion-jti-missing", map[string]any{"jti": nil}},
		"claims of no type": {"assertion-claims", map[string]any{"exp": "soon"}},
	}
	b := newBench(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claims := b.claims()
			for k, v := range c.spoil {
				if claims[k] = v; v == nil {
					delete(claims, k)
				}
			}
			refusal(t, b, b.askToken(form(b.assertion(claims))), c.rule)
		})
	}
}

func TestRefusedAssertions(t *testing.T) {
	b := newBench(t)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := credentials(t, RS384).Private
	good := b.assertion(b.claims())
	cases := map[string]struct{ rule, assertion string }{
		"other key":         {"assertion-key-or-signature", sign(t, other, ES384, b.cred.KeyID, "JWT", b.claims())},
		"unknown kid":       {"assertion-key-or-signature", sign(t, b.cred.Private, ES384, "nobody", "JWT", b.claims())},
		"key of other kind": {"assertion-key-or-signature", sign(t, rsaKey, RS384, b.cred.KeyID, "JWT", b.claims())},
		"RS256":             {"assertion-unreadable-or-alg", sign(t, rsaKey, "RS256", b.cred.KeyID, "JWT", b.claims())},
		"ES256":             {"assertion-unreadable-or-alg", sign(t, p256, "ES256", b.cred.KeyID, "JWT", b.claims())},
		"HS384":             {"assertion-unreadable-or-alg", sign(t, bytes.Repeat([]byte("k"), 48), "HS384", b.cred.KeyID, "JWT", b.claims())},
		"no typ":            {"assertion-typ", sign(t, b.cred.Private, ES384, b.cred.KeyID, "", b.claims())},
		"other typ":         {"assertion-typ", sign(t, b.cred.Private, ES384, b.cred.KeyID, "at+jwt", b.claims())},
		"garbage":           {"assertion-unreadable-or-alg", "garbage"},
		"tampered":          {"assertion-key-or-signature", tamper(good)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			refusal(t, b, b.askToken(form(c.assertion)), c.rule)
		})
	}
	t.Run("no kid is named", func(t *testing.T) {
		got := b.askToken(form(sign(t, b.cred.Private, ES384, "", "JWT", b.claims())))
		if got.status != 401 || !bytes.Contains(got.body, []byte("kid")) {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("replayed", func(t *testing.T) {
		if first := b.askToken(form(good)); first.status != 200 {
			t.Fatalf("first: %d", first.status)
		}
		refusal(t, b, b.askToken(form(good)), "assertion-replayed")
	})
}

// tamper swaps the first half of the signature.
func tamper(assertion string) string {
	parts := strings.Split(assertion, ".")
	half := len(parts[2]) / 2
	parts[2] = parts[2][half:] + parts[2][:half]
	return strings.Join(parts, ".")
}

func TestRefusedForms(t *testing.T) {
	b := newBench(t)
	const formType = "application/x-www-form-urlencoded"
	spoilt := func(key string, values ...string) string {
		f := form(b.assertion(b.claims()))
		f[key] = values
		return f.Encode()
	}
	cases := map[string]struct {
		contentType, body, code string
		status                  int
	}{
		"JSON":                      {"application/json", `{}`, "invalid_request", 400},
		"no content type":           {"", spoilt("scope", "x"), "invalid_request", 400},
		"no grant type":             {formType, spoilt("grant_type"), "invalid_request", 400},
		"other grant type":          {formType, spoilt("grant_type", "password"), "unsupported_grant_type", 400},
		"other assertion type":      {formType, spoilt("client_assertion_type", "x"), "invalid_request", 400},
		"no assertion":              {formType, spoilt("client_assertion"), "invalid_request", 400},
		"scope twice":               {formType, spoilt("scope", "a", "b"), "invalid_request", 400},
		"broken escape":             {formType, "grant_type=%zz", "invalid_request", 400},
		"too large":                 {formType, spoilt("scope", strings.Repeat("x", tokenLimit)), "invalid_request", 400},
		"client id of someone else": {formType, spoilt("client_id", "x"), "invalid_client", 401},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := b.request("POST", tokenPath, strings.NewReader(c.body))
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			got := b.do(r)
			if got.status != c.status || !strings.Contains(string(got.body), `"error":"`+c.code+`"`) {
				t.Errorf("answer %d %s", got.status, got.body)
			}
		})
	}
	if got := b.do(b.request("GET", tokenPath, nil)); got.status != 405 {
		t.Errorf("GET: %d", got.status)
	}
}

// TestTokenLife moves the clock: expiry, the memory of replays, revocation.
func TestTokenLife(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	b := newBench(t, func(c *Config) { c.Now, c.TokenLifetime = now, 2*time.Minute })
	send := func(token string) int {
		return b.do(b.request("POST", binaryPath, strings.NewReader("x"), "Authorization", "Bearer "+token)).status
	}
	if got := send("nonsense"); got != 401 {
		t.Errorf("unknown token: %d", got)
	}
	if got := b.do(b.request("POST", binaryPath, strings.NewReader("x"))); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("no token: %d", got.status)
	}
	token := b.token()
	if got := send(token); got != 201 {
		t.Fatalf("fresh token: %d", got)
	}
	offset.Store(int64(2*time.Minute + time.Second))
	if got := send(token); got != 401 {
		t.Errorf("expired token: %d", got)
	}
	offset.Store(0)
	token = b.token()
	b.sim.RevokeTokens()
	if got := send(token); got != 401 {
		t.Errorf("revoked token: %d", got)
	}
}

func TestAudienceAndRotation(t *testing.T) {
	b := newBench(t)
	const audience = "https://api.redoxengine.com/v2/auth/token"
	b.sim.SetAudience(audience)
	ask := func() int {
		claims := b.claims()
		claims["aud"] = []string{audience}
		return b.askToken(form(b.assertion(claims))).status
	}
	if got := ask(); got != 200 {
		t.Errorf("configured audience: %d", got)
	}
	if got := b.askToken(form(b.assertion(b.claims()))).status; got != 401 {
		t.Errorf("the URL itself although another audience is set: %d", got)
	}
	next, err := GenerateClient(ES384)
	if err != nil {
		t.Fatal(err)
	}
	c := b.cred.Client
	c.Keys = map[string]any{next.KeyID: next.JWK}
	if err := b.sim.SetClient(c); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 401 {
		t.Errorf("removed key: %d", got)
	}
	b.cred = &Credentials{ClientID: c.ID, KeyID: next.KeyID, Alg: ES384, Private: next.Private}
	if got := ask(); got != 200 {
		t.Errorf("new key: %d", got)
	}
}

func TestRefusedConfig(t *testing.T) {
	good := credentials(t, ES384).Client
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key any, sources ...string) Config {
		return Config{Clients: []Client{{ID: "c", Keys: map[string]any{"k": key}, Sources: sources}}}
	}
	source := uuid.NewString()
	cases := map[string]Config{
		"no clients":      {},
		"http blob base":  {Clients: []Client{good}, BlobBase: "http://blob.example"},
		"weak RSA":        with(&weak.PublicKey, source),
		"P-256":           with(&p256.PublicKey, source),
		"no key":          {Clients: []Client{{ID: "c", Sources: []string{source}}}},
		"no source":       with(&weak.PublicKey),
		"source no UUID":  with(good.Keys[credentials(t, ES384).KeyID], "main"),
		"key of no kind":  with(42, source),
		"text of no kind": with("hello", source),
	}
	for name, cfg := range cases {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

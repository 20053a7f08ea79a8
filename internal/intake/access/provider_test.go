package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// provider is an OpenID Connect provider as far as keys go.
type provider struct {
	t      *testing.T
	server *httptest.Server
	asked  atomic.Int64
	down   atomic.Bool

	mu   sync.Mutex
	keys []jose.JSONWebKey
}

func newProvider(t *testing.T) *provider {
	p := &provider{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if p.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.server.URL, "jwks_uri": p.server.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

// publish makes the provider know the public halves of signers, and no other.
func (p *provider) publish(all ...signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = nil
	for _, s := range all {
		p.keys = append(p.keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: string(s.alg), Use: "sig"})
	}
}

// signer makes tokens.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newRSA(t *testing.T, id string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return signer{id, jose.RS256, key}
}

func newEC(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return signer{id, jose.ES256, key}
}

func (s signer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return signed(t, s.alg, s.key, s.id, claims)
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		opts = opts.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	must(t, err)
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	must(t, err)
	return token
}

// good are the claims of a good token.
func (p *provider) good(more ...any) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": p.server.URL, "aud": []string{"other", "chartpost"}, "sub": "lab@example.org", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"chartpost_destinations": []string{"good-health", "bad address"}, "chartpost_classes": "live backfill other",
	}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == nil {
			delete(c, more[i].(string))
			continue
		}
		c[more[i].(string)] = more[i+1]
	}
	return c
}

func (p *provider) tokens(now func() time.Time) *Tokens {
	return NewTokens(TokenSettings{
		Issuer: p.server.URL, Audience: "chartpost", Destinations: "chartpost_destinations", Classes: "chartpost_classes", Files: "chartpost_files",
	}, p.server.Client(), now)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

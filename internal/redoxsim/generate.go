package redoxsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

// The kinds of key Redox takes.
const (
	RS384 = string(jose.RS384) // RSA, 2048 bits here
	ES384 = string(jose.ES384) // P-384
)

// Credentials are a new client with its private key, for tests and demos.
type Credentials struct {
	ClientID, KeyID string
	// Alg is RS384 or ES384.
	Alg     string
	Private crypto.Signer
	// PEM is the private key as PKCS #8, JWK the same as a JWK with kid and alg.
	PEM, JWK []byte
	// Client is the entry for Config.Clients.
	Client Client
}

// GenerateClient makes a client id, a kid and a key for RS384 or ES384. With no
// sources given it makes one; see Credentials.Client.Sources.
func GenerateClient(alg string, sources ...string) (*Credentials, error) {
	private, err := newKey(alg)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		sources = []string{uuid.NewString()}
	}
	c := &Credentials{ClientID: uuid.NewString(), KeyID: "key-" + uuid.NewString()[:8], Alg: alg, Private: private}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	c.PEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	jwk := jose.JSONWebKey{Key: private, KeyID: c.KeyID, Algorithm: alg, Use: "sig"}
	if c.JWK, err = jwk.MarshalJSON(); err != nil {
		return nil, err
	}
	c.Client = Client{ID: c.ClientID, Keys: map[string]any{c.KeyID: private.Public()}, Sources: sources}
	return c, nil
}

func newKey(alg string) (crypto.Signer, error) {
	switch alg {
	case RS384:
		return rsa.GenerateKey(rand.Reader, 2048)
	case ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("redoxsim: no such algorithm %q", alg)
}

// publicKey reads any of the forms Client.Keys takes.
func publicKey(key any) (crypto.PublicKey, error) {
	switch k := key.(type) {
	case string:
		return parseKey([]byte(k))
	case []byte:
		return parseKey(k)
	case jose.JSONWebKey:
		return publicKey(&k)
	case *jose.JSONWebKey:
		return publicKey(k.Public().Key)
	case *rsa.PublicKey:
		if k.N == nil || k.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key needs at least 2048 bits")
		}
		return k, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P384() {
			return nil, errors.New("an EC key must be on P-384")
		}
		return k, nil
	case crypto.Signer:
		return publicKey(k.Public())
	}
	return nil, fmt.Errorf("a key of type %T is not taken", key)
}

func parseKey(text []byte) (crypto.PublicKey, error) {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		var jwk jose.JSONWebKey
		if err := jwk.UnmarshalJSON(text); err != nil {
			return nil, err
		}
		return publicKey(&jwk)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("neither PEM nor JWK")
	}
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return publicKey(key)
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return publicKey(key)
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return publicKey(key)
	}
	return nil, errors.New("PEM of another kind than a public or PKCS #8 key")
}

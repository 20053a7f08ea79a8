package redoxclient

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// rsaKey and ecKey are made once: an RSA key takes a while.
var (
	rsaKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(key any) []byte { return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }

func jwk(key any, kid string) []byte {
	return must(json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid}))
}

func jwkSet(keys ...[]byte) []byte {
	return []byte(`{"keys":[` + string(bytes.Join(keys, []byte(","))) + `]}`)
}

func TestParseKey(t *testing.T) {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	params := pemOf("EC PARAMETERS", []byte{6, 5, 43, 129, 4, 0, 34})
	sec1 := pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey())))
	cases := map[string]struct {
		file    []byte
		kid     string
		alg     jose.SignatureAlgorithm
		wantKid string
		fault   string
	}{
		"PKCS#1":               {file: pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), kid: "a", alg: jose.RS384},
		"PKCS#8 RSA":           {file: pkcs8(rsaKey()), kid: "a", alg: jose.RS384},
		"PKCS#8 EC":            {file: pkcs8(ecKey()), kid: "a", alg: jose.ES384},
		"SEC1":                 {file: sec1, kid: "a", alg: jose.ES384},
		"SEC1 with parameters": {file: append(params, sec1...), kid: "a", alg: jose.ES384},
		"JWK RSA":              {file: jwk(rsaKey(), "a"), kid: "a", alg: jose.RS384},
		"JWK gives the kid":    {file: jwk(ecKey(), "b"), alg: jose.ES384, wantKid: "b"},
		"JWK without a kid":    {file: jwk(ecKey(), ""), kid: "a", alg: jose.ES384},
		"set, chosen":          {file: jwkSet(jwk(rsaKey(), "a"), jwk(ecKey(), "b")), kid: "b", alg: jose.ES384},
		"set of one":           {file: jwkSet(jwk(ecKey().Public(), "a"), jwk(ecKey(), "b")), alg: jose.ES384, wantKid: "b"},
		"set, none named":      {file: jwkSet(jwk(rsaKey(), "a"), jwk(ecKey(), "b")), fault: "several"},
		"set, unknown kid":     {file: jwkSet(jwk(rsaKey(), "a")), kid: "x", fault: "no private key with the id"},
		"JWK of another kid":   {file: jwk(rsaKey(), "a"), kid: "x", fault: "no private key with the id"},
		"public JWK":           {file: jwk(rsaKey().Public(), "a"), fault: "a public key"},
		"public JWK by its id": {file: jwk(rsaKey().Public(), "a"), kid: "a", fault: "a public key"},
		"public JWK set":       {file: jwkSet(jwk(rsaKey().Public(), "a"), jwk(ecKey().Public(), "b")), kid: "b", fault: "a public key"},
		"RSA 1024 PEM":         {file: pkcs8(weakKey()), kid: "a", fault: "1024 bits"},
		"RSA 1024 JWK":         {file: jwk(weakKey(), "a"), kid: "a", fault: "1024 bits"},
		"P-256":                {file: pkcs8(p256), kid: "a", fault: "P-384"},
		"P-256 JWK":            {file: jwk(p256, "a"), kid: "a", fault: "P-384"},
		"Ed25519":              {file: pkcs8(ed), kid: "a", fault: "neither"},
		"no kid":               {file: pkcs8(ecKey()), fault: "requires a kid"},
		"odd kid":              {file: pkcs8(ecKey()), kid: "a\nb", fault: "printable"},
		"public PEM":           {file: pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public()))), kid: "a", fault: "a public key"},
		"public PKCS#1":        {file: pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaKey().Public().(*rsa.PublicKey))), kid: "a", fault: "a public key"},
		"public, then private": {file: append(pemOf("PUBLIC KEY", []byte("x")), sec1...), kid: "a", alg: jose.ES384},
		"certificate":          {file: pemOf("CERTIFICATE", []byte("x")), kid: "a", fault: "a certificate"},
		"OpenSSH":              {file: pemOf("OPENSSH PRIVATE KEY", []byte("x")), kid: "a", fault: "OpenSSH"},
		"encrypted, old form": {file: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}}), kid: "a", fault: "encrypted"},
		"encrypted":      {file: pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), kid: "a", fault: "encrypted"},
		"rubbish in PEM": {file: pemOf("PRIVATE KEY", []byte("CANARY")), kid: "a", fault: "cannot be read"},
		"symmetric JWK":  {file: []byte(`{"kty":"oct","k":"Q0FOQVJZ","kid":"a"}`), kid: "a", fault: "neither"},
		"broken JSON":    {file: []byte(`{"kty":"RSA","n":"CANARY`), kid: "a", fault: "cannot be read"},
		"text":           {file: []byte("CANARY"), kid: "a", fault: "no private key"},
		"empty":          {kid: "a", fault: "no private key"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			key, err := parseKey(tc.file, tc.kid)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) || strings.Contains(err.Error(), "CANARY") {
					t.Fatalf("got %v, want an error with %q", err, tc.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := tc.kid + tc.wantKid; key.alg != tc.alg || key.id != want {
				t.Fatalf("got %s with kid %q, want %s with %q", key.alg, key.id, tc.alg, want)
			}
		})
	}
}

// What editors and secret stores make of a key that is good.
func TestKeysInOtherForms(t *testing.T) {
	wide := func(mark string, order binary.AppendByteOrder) func([]byte) []byte {
		return func(b []byte) []byte {
			out := []byte(mark)
			for _, c := range b {
				out = order.AppendUint16(out, uint16(c))
			}
			return out
		}
	}
	forms := map[string]func([]byte) []byte{
		"UTF-8 mark":    func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) },
		"UTF-16, low":   wide("\xff\xfe", binary.LittleEndian),
		"UTF-16, high":  wide("\xfe\xff", binary.BigEndian),
		"CR LF":         func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
		"blank lines":   func(b []byte) []byte { return append(append([]byte("\n \t\n"), b...), "\n\n"...) },
		"no last break": bytes.TrimSpace,
	}
	oneLine := map[string]func([]byte) []byte{
		"one line":      func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(`\n`)) },
		"one line, CR":  func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(`\r\n`)) },
		"one line, end": func(b []byte) []byte { return append(bytes.ReplaceAll(b, []byte("\n"), []byte(`\n`)), '\n') },
		"quoted": func(b []byte) []byte {
			return append(append([]byte(`"`), bytes.ReplaceAll(b, []byte("\n"), []byte(`\n`))...), '"')
		},
		"mark, one line": func(b []byte) []byte {
			return append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(b, []byte("\n"), []byte(`\n`))...)
		},
		"single quotes": func(b []byte) []byte { return append(append([]byte("'"), b...), '\'', '\n') },
	}
	keys := map[string][]byte{
		"PKCS#1": pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())),
		"PKCS#8": pkcs8(ecKey()), "JWK": jwk(ecKey(), "a"), "JWK set": jwkSet(jwk(ecKey(), "a")),
	}
	for name, key := range keys {
		for form, change := range forms {
			if _, err := parseKey(change(key), "a"); err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
		for form, change := range oneLine {
			if _, err := parseKey(change(key), "a"); err != nil && !strings.HasPrefix(name, "JWK") {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
	public := pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public())))
	for form, change := range oneLine {
		if _, err := parseKey(change(public), "a"); !errors.Is(err, errPublicKey) {
			t.Errorf("a public key, %s: %v", form, err)
		}
	}
}

// An error of a key names its file.
func TestKeyErrorsNameTheFile(t *testing.T) {
	folder := t.TempDir()
	for name, data := range map[string][]byte{"text.pem": []byte("CANARY"), "none.pem": nil, "public.pem": pemOf("PUBLIC KEY", []byte("x"))} {
		path := filepath.Join(folder, name)
		if data != nil {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := NewTokenSource(TokenConfig{ClientID: "client-1", KeyID: "a", KeyFile: path})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		noCanary(t, err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(pkcs8(ecKey()), "a")
	f.Add(jwk(ecKey(), "b"), "")
	f.Add(jwkSet(jwk(ecKey(), "b")), "b")
	f.Fuzz(func(t *testing.T, file []byte, kid string) {
		if key, err := parseKey(file, kid); err == nil && (key.id == "" || key.alg == "") {
			t.Fatal("a key without id or algorithm")
		}
	})
}

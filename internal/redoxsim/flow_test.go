package redoxsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTokenBothAlgorithms(t *testing.T) {
	for _, alg := range []string{RS384, ES384} {
		for _, form := range []string{"key", "jwk", "pem"} {
			t.Run(alg+" "+form, func(t *testing.T) {
				cred := credentials(t, alg)
				c := cred.Client
				c.Keys = map[string]any{cred.KeyID: c.Keys[cred.KeyID]}
				switch form {
				case "jwk":
					c.Keys[cred.KeyID] = cred.JWK
				case "pem":
					c.Keys[cred.KeyID] = string(cred.PEM)
				}
				b := newBench(t, func(cfg *Config) { cfg.Clients = []Client{c} })
				b.cred = cred
				if one, two := b.token(), b.token(); one == two {
					t.Error("two requests got the same token")
				}
			})
		}
	}
}

func TestEmbeddedDocument(t *testing.T) {
	b := newBench(t)
	got := b.post(docPath, fhirType, []byte(document1(embeddedPDF)))
	if got.status != 200 || !bytes.Contains(got.body, []byte(`"201 Created"`)) || got.header.Get("Redox-Trace-Id") == "" {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	messages := b.sim.Messages()
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	m := messages[0]
	if m.BundleID != "bundle-1" || m.DocumentID != "doc-1" || m.Destination != "good-health" || m.Source != b.cred.Client.Sources[0] || m.Environment != "Development" {
		t.Errorf("message %+v", m)
	}
	if len(m.Files) != 1 {
		t.Fatalf("%d files", len(m.Files))
	}
	f := m.Files[0]
	data, err := f.Bytes()
	if err != nil || string(data) != "%PDF-1.4\n" || f.How != Embedded || f.Title != "a.pdf" || f.Size != 9 {
		t.Errorf("file %+v: %q %v", f, data, err)
	}
}

func TestUploadedDocument(t *testing.T) {
	b := newBench(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	url := b.upload(data)
	if !strings.HasPrefix(url, DefaultBlobBase+"/") {
		t.Fatal(url)
	}
	got := b.post(docPath, fhirType, []byte(document1(`{"contentType":"application/pdf","url":"`+url+`"}`)))
	if got.status != 200 {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	sum := sha256.Sum256(data)
	u := b.sim.Uploads()[0]
	if u.Body.SHA256 != hex.EncodeToString(sum[:]) || u.URL != url || len(u.Named) != 1 {
		t.Errorf("upload %+v", u)
	}
	f := b.sim.Messages()[0].Files[0]
	if back, err := f.Bytes(); err != nil || !bytes.Equal(back, data) || f.How != Uploaded {
		t.Errorf("file %+v: %d bytes, %v", f, len(back), err)
	}
}

func TestLargeEmbeddedDocument(t *testing.T) {
	b := newBench(t)
	data := make([]byte, 1_500_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	text := base64.StdEncoding.EncodeToString(data)
	for name, encoded := range map[string]string{
		"plain": text, "slashes escaped": strings.ReplaceAll(text, "/", `\/`),
	} {
		got := b.post(docPath, fhirType, []byte(document1(`{"contentType":"application/pdf","size":1500000,"data":"`+encoded+`"}`)))
		if got.status != 200 {
			t.Fatalf("%s: status %d: %s", name, got.status, got.body)
		}
		messages := b.sim.Messages()
		if back, err := messages[len(messages)-1].Files[0].Bytes(); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%s: other bytes came back: %v", name, err)
		}
	}
}

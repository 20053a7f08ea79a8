package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/chartpost/chartpost/redoxclient"
)

// TestReceiver lets the worker's own client send to the receiver, which must
// answer as that demands, with and without TLS.
func TestReceiver(t *testing.T) {
	for name, options := range map[string]receiverOptions{
		"plain": {}, "tls": {CertFile: filepath.Join(t.TempDir(), "cert.pem")}, "slow": {Delay: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			receiver, err := startReceiver(0, options)
			if err != nil {
				t.Fatal(err)
			}
			defer receiver.Close()
			client, err := redoxclient.New(redoxclient.Config{
				APIURL: receiver.URL(), Environment: "Development", BlobHosts: []string{blobHost}, Tokens: fixed{}, TLS: trust(t, options.CertFile),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			large := redoxclient.Bytes(bytes.Repeat([]byte("x"), 2_000_000))
			up, err := client.Upload(t.Context(), redoxclient.UploadRequest{ContentType: "application/pdf", Body: large})
			if err != nil || up.URL != "https://"+blobHost+"/1" {
				t.Fatalf("upload: %+v, %v", up, err)
			}
			sent, err := client.Send(t.Context(), redoxclient.SendRequest{
				Destination: "bench-0", Path: "DocumentReference/$documentreference-create", Body: redoxclient.Bytes([]byte("{}")),
			})
			if err != nil || sent.Status != http.StatusOK || sent.Location == "" {
				t.Fatalf("message: %+v, %v", sent, err)
			}
			if receiver.spent.Load() < int64(2*options.Delay) || receiver.spent.Load() == 0 {
				t.Errorf("it says it took %s", time.Duration(receiver.spent.Load()))
			}
		})
	}
}

// TestReceiverReadsAll counts what arrives of a body whose sender does not
// stop before the end.
func TestReceiverReadsAll(t *testing.T) {
	receiver, err := startReceiver(0, receiverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	body := &counted{left: 5_000_000}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, receiver.URL()+"/fhir/R4/redox/Development/Binary", body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusCreated || body.left != 0 {
		t.Errorf("%s with %d bytes unread", response.Status, body.left)
	}
}

type counted struct{ left int }

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), c.left)
	c.left -= n
	return n, nil
}

type fixed struct{}

func (fixed) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "bench", TokenType: "Bearer"}, nil
}
func (fixed) Invalidate(string) {}

func trust(t *testing.T, file string) *tls.Config {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

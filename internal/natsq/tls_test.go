package natsq

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
)

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	url := tlsServer(t, ours, ours.issue(t, "server", nil))
	plain := devtest.NATS(t, devstack.NATSOptions{LazySync: true}).URL()
	worker := ours.issue(t, "worker", nil)
	stale := ours.issue(t, "stale", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	elsewhere := tlsServer(t, ours, ours.issue(t, "elsewhere", func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"nats.example.org"} }))

	for name, one := range map[string]struct {
		url    string
		ca     string
		client pair
		want   string // what the error says; empty is a connection
	}{
		"both sides known":                    {url: url, ca: ours.file, client: worker},
		"a scheme that says TLS":              {url: strings.Replace(url, "nats://", "tls://", 1), ca: ours.file, client: worker},
		"the server's authority is another":   {url: url, ca: theirs.file, client: worker, want: "the server's certificate is not one that the authorities vouch for"},
		"the system's authorities":            {url: url, client: worker, want: "the server's certificate is not one that the authorities vouch for"},
		"the server's name is another":        {url: elsewhere, ca: ours.file, client: worker, want: "the server's certificate is not one that the authorities vouch for"},
		"no client certificate":               {url: url, ca: ours.file, want: "the server refuses this client's certificate"},
		"a client of another authority":       {url: url, ca: ours.file, client: theirs.issue(t, "worker", nil), want: "the server refuses this client's certificate"},
		"a client certificate out of date":    {url: url, ca: ours.file, client: stale, want: "the server refuses this client's certificate"},
		"a server that offers no TLS":         {url: plain, ca: ours.file, client: worker, want: "secure connection not available"},
		"TLS by the scheme, and none offered": {url: strings.Replace(plain, "nats://", "tls://", 1), want: "secure connection not available"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := Connect(Config{URL: one.url, Prefix: "chartpost", CA: one.ca, Cert: one.client.cert, Key: one.client.key,
				Options: []nats.Option{nats.Timeout(connectTime)}}, slog.New(slog.DiscardHandler))
			if err == nil {
				defer conn.Close()
			}
			switch {
			case one.want == "" && err != nil:
				t.Fatal(err)
			case one.want == "":
				if _, err := conn.Setup(t.Context(), testLayout); err != nil {
					t.Error(err)
				}
			case err == nil:
				t.Error("connected")
			case !strings.Contains(err.Error(), one.want):
				t.Errorf("it says %q", err)
			}
		})
	}
}

// TestRenewedCertificates replaces the files of a client while it is connected,
// as whoever issues certificates for days does.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	mine := before.issue(t, "worker", nil)
	options := natsTLS(before, before.issue(t, "server", nil))
	options.Port = devtest.Port(t)
	s := serve(t, options)
	conn, err := Connect(Config{URL: s.ClientURL(), Prefix: "chartpost", CA: before.file, Cert: mine.cert, Key: mine.key}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	renewed := after.issue(t, "worker", nil)
	for from, to := range map[string]string{after.file: before.file, renewed.cert: mine.cert, renewed.key: mine.key} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The same server comes back with certificates of the new authority alone.
	again := natsTLS(after, after.issue(t, "server", nil))
	again.Port = options.Port
	s.Shutdown()
	s.WaitForShutdown()
	serve(t, again)
	until(t, "the client is back", func() bool { return conn.Connected() && conn.life() > 0 })
}

// pair is a certificate and its key, as PEM files.
type pair struct{ cert, key string }

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	pool *x509.CertPool
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := certificateOf(name)
	about.IsCA, about.BasicConstraintsValid, about.KeyUsage = true, true, x509.KeyUsageCertSign
	raw, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem"), pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	writePEM(t, a.file, "CERTIFICATE", raw)
	return a
}

// issue makes a certificate for 127.0.0.1, changed by change.
func (a *authority) issue(t *testing.T, name string, change func(*x509.Certificate)) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := certificateOf(name)
	about.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	about.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(about)
	}
	raw, err := x509.CreateCertificate(rand.Reader, about, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyRaw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := pair{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	writePEM(t, p.cert, "CERTIFICATE", raw)
	writePEM(t, p.key, "PRIVATE KEY", keyRaw)
	return p
}

func certificateOf(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func writePEM(t *testing.T, file, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tlsServer is a server that demands a certificate of the authority from every
// client.
func tlsServer(t *testing.T, clients *authority, own pair) string {
	t.Helper()
	options := natsTLS(clients, own)
	options.StoreDir = t.TempDir()
	return serve(t, options).ClientURL()
}

func natsTLS(clients *authority, own pair) *server.Options {
	return &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, NoSigs: true, NoLog: true, TLS: true, TLSTimeout: 30, TLSVerify: true,
		TLSConfig: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				cert, err := tls.LoadX509KeyPair(own.cert, own.key)
				return &cert, err
			},
		},
	}
}

func serve(t *testing.T, options *server.Options) *server.Server {
	t.Helper()
	if options.StoreDir == "" {
		options.StoreDir = t.TempDir()
	}
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("not ready")
	}
	return s
}

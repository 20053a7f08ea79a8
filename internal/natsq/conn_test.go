package natsq

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
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
	"github.com/nats-io/nkeys"
)

// TestNoWordOfAJobInTheLog answers with a broken protocol that carries a job:
// the library's error quotes it, the log must not.
func TestNoWordOfAJobInTheLog(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "INFO {\"server_id\":\"x\",\"max_payload\":1048576}\r\n")
				buffer := make([]byte, 4096)
				for {
					n, err := c.Read(buffer)
					if err != nil {
						return
					}
					if strings.Contains(string(buffer[:n]), "PING") {
						io.WriteString(c, "PONG\r\n")
						break
					}
				}
				io.WriteString(c, "Qcanary-patient's data\r\n")
				io.Copy(io.Discard, c)
			}()
		}
	}()
	w := dial(t, "nats://"+listener.Addr().String())
	until(t, "the break is logged", func() bool { return strings.Contains(w.said.String(), "Parse Error") })
	if said := w.said.String(); strings.Contains(said, "canary") || strings.Contains(said, "'") {
		t.Errorf("the log says: %s", said)
	}
}

func TestReasonOf(t *testing.T) {
	for said, want := range map[string]string{
		"nats: Parse Error [3]: 'MSG canary'":                                     "nats: Parse Error [3]",
		`nats: permissions violation: Permissions Violation for Publish to "a.b"`: `nats: permissions violation: Permissions Violation for Publish to "a.b"`,
		"EOF": "EOF",
	} {
		if got := reasonOf(errors.New(said)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if reasonOf(nil) == "" {
		t.Error("no word for no error")
	}
}

func TestConnectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"no server":      {URL: "nats://127.0.0.1:1"},
		"no CA file":     {CA: junk + "x"},
		"a CA of junk":   {CA: junk},
		"a cert of junk": {Cert: junk, Key: junk},
		"no seed file":   {NKey: junk + "x"},
		"a seed of junk": {NKey: junk},
	} {
		conn, err := Connect(cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

// TestConnectWithTLSAndNKey is a server that wants both.
func TestConnectWithTLSAndNKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, certFile, keyFile := selfSigned(t, dir)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	seedFile := filepath.Join(dir, "seed")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
		TLS: true, TLSTimeout: 30, Nkeys: []*server.NkeyUser{{Nkey: public}},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("not ready")
	}
	good := Config{URL: s.ClientURL(), Prefix: "chartpost", CA: certFile, Cert: certFile, Key: keyFile, NKey: seedFile,
		Options: []nats.Option{nats.Timeout(connectTime)}}
	conn, err := Connect(good, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Setup(t.Context(), testLayout); err != nil {
		t.Error(err)
	}
	if !strings.Contains(conn.Server(), "nats-server 2.") || !conn.Connected() {
		t.Errorf("server %q", conn.Server())
	}
	for range 2 {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if conn.Connected() {
		t.Error("connected after Close")
	}
	for name, spoil := range map[string]func(*Config){
		"without the CA":   func(c *Config) { c.CA = "" },
		"without the cert": func(c *Config) { c.Cert = "" },
		"without the nkey": func(c *Config) { c.NKey = "" },
	} {
		bad := good
		spoil(&bad)
		if conn, err := Connect(bad, slog.New(slog.DiscardHandler)); err == nil {
			conn.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

func selfSigned(t *testing.T, dir string) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyRaw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyRaw})
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert, certFile, keyFile
}

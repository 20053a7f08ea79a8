package natsq

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// secure holds a connection to TLS: a server that offers none is refused. The
// files are read now, so that a fault shows at once, and then before each
// handshake: certificates live shorter than workers do.
func (cfg Config) secure() (nats.Option, error) {
	if _, err := cfg.roots(); err != nil {
		return nil, err
	}
	if _, err := cfg.certificate(); err != nil {
		return nil, err
	}
	return func(o *nats.Options) error {
		o.Secure = true
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg.CA != "" {
			o.RootCAsCB = cfg.roots
		}
		if cfg.Cert != "" {
			o.TLSCertCB = cfg.certificate
		}
		return nil
	}, nil
}

// roots are the authorities to trust; nil is the system's.
func (cfg Config) roots() (*x509.CertPool, error) {
	if cfg.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(cfg.CA)
	if err != nil {
		return nil, fmt.Errorf("reading the NATS CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the NATS CA file %s holds no PEM certificate", cfg.CA)
	}
	return pool, nil
}

func (cfg Config) certificate() (tls.Certificate, error) {
	if cfg.Cert == "" {
		return tls.Certificate{}, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the NATS client certificate: %w", err)
	}
	return cert, nil
}

// connecting says why there is no connection. Where TLS failed, the library's
// words do not say whose certificate it was. A server of TLS 1.3 judges the
// client's certificate after the handshake: the refusal comes as an alert, or as
// a connection that has ended before the alert was read.
func connecting(err error, servers string) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("connecting to NATS: the server's certificate is not one that the authorities vouch for: %w", err)
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // how crypto/tls gives an alert
		return fmt.Errorf("connecting to NATS: the server refuses this client's certificate, or wants one: %w", err)
	}
	if errors.Is(err, nats.ErrTLS) {
		return fmt.Errorf("connecting to NATS: TLS failed, or the server refuses this client's certificate after the handshake: %w", err)
	}
	return fmt.Errorf("connecting to NATS: %w (%s)", err, withoutUsers(servers))
}

// withoutUsers is a list of servers without what a URL may say of a user.
func withoutUsers(servers string) string {
	var all []string
	for server := range strings.SplitSeq(servers, ",") {
		server = strings.TrimSpace(server)
		if at := strings.LastIndexByte(server, '@'); at >= 0 {
			scheme, _, found := strings.Cut(server, "://")
			if server = server[at+1:]; found {
				server = scheme + "://" + server
			}
		}
		all = append(all, server)
	}
	return strings.Join(all, ", ")
}

package redoxclient

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// idleTimeout is kept below what servers usually allow, so that a POST is
	// rarely written to a connection the server is just closing: such a break
	// would be an unknown outcome.
	idleTimeout = 30 * time.Second
	// maxHeaderBytes bounds an answer's headers.
	maxHeaderBytes = 64 << 10
)

// newTransport speaks HTTP/1.1 only: HTTP/2's flow control throttles uploads on
// one connection to a few MB/s over a real distance.
//
// ResponseHeaderTimeout is not used: the watchdog bounds the wait for an answer
// and knows which wait it was. A http.Client is not used either, so that a
// redirect can never be followed.
func newTransport(t Timeouts, tlsConfig *tls.Config, concurrency int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: t.Dial, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsSettings(tlsConfig),
		TLSHandshakeTimeout:    t.TLS,
		ExpectContinueTimeout:  t.Continue,
		Protocols:              &protocols,
		MaxIdleConns:           2 * concurrency, // two hosts: the API's and the blobs'
		MaxIdleConnsPerHost:    concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}

// tlsSettings holds to TLS 1.2 and 1.3, as Redox documents.
func tlsSettings(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{}
	}
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

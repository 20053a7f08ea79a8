package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
)

// blobHost is the host in the URLs of uploads. Nobody asks it.
const blobHost = "blob.bench.invalid"

// receiverOptions say how the receiver answers.
type receiverOptions struct {
	// CertFile is where to leave the certificate to trust; empty is plain HTTP.
	CertFile string `json:"cert_file,omitempty"`
	// Delay is what an upload or a message waits for its answer once it has been
	// read.
	Delay time.Duration `json:"delay,omitempty"`
	// Busy is every how many messages one is answered with 503; 0 is none.
	Busy int64 `json:"busy,omitempty"`
}

// receiver stands where Redox would. It reads every body to its end and answers
// in Redox's shapes, but looks at nothing: the simulator's checks would cost
// more than the worker does.
type receiver struct {
	delay   time.Duration
	busy    int64
	url     string
	server  *http.Server
	served  chan error
	buffers sync.Pool
	uploads atomic.Int64
	sent    atomic.Int64
	// spent is the time of all requests so far, from their head to their answer.
	spent atomic.Int64
}

func receiverRole() devstack.Role {
	return devstack.Role{Name: "receiver", Serve: func(port int, raw json.RawMessage) (devstack.Server, error) {
		var options receiverOptions
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fmt.Errorf("receiver: options: %w", err)
		}
		return startReceiver(port, options)
	}}
}

func startReceiver(port int, options receiverOptions) (*receiver, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	r := &receiver{delay: options.Delay, busy: options.Busy, url: "http://" + listener.Addr().String(), served: make(chan error, 1)}
	r.buffers.New = func() any { return new([128 << 10]byte) }
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	if options.CertFile == "" {
		go func() { r.served <- r.server.Serve(listener) }()
		return r, nil
	}
	r.url = "https://" + listener.Addr().String()
	cert, err := certificate(options.CertFile)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	r.server.Protocols, r.server.TLSConfig = &protocols, &tls.Config{Certificates: []tls.Certificate{cert}}
	go func() { r.served <- r.server.ServeTLS(listener, "", "") }()
	return r, nil
}

func (r *receiver) URL() string { return r.url }

func (r *receiver) Close() error {
	err := r.server.Close()
	<-r.served
	return err
}

// spentPath tells how long the requests so far took, in nanoseconds.
const spentPath = "/bench/spent"

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	switch path := q.URL.Path; {
	case path == spentPath:
		fmt.Fprint(w, r.spent.Load())
	case strings.HasSuffix(path, "/token"):
		r.read(q.Body)
		answer(w, http.StatusOK, `{"access_token":"bench","token_type":"Bearer","expires_in":86400}`)
	case strings.HasSuffix(path, "/Binary"):
		r.take(q, func() {
			url := fmt.Sprintf("https://%s/%d", blobHost, r.uploads.Add(1))
			w.Header().Set("Location", url)
			answer(w, http.StatusCreated, `{"location":"`+url+`"}`)
		})
	default:
		r.take(q, func() {
			if n := r.sent.Add(1); r.busy > 0 && n%r.busy == 0 {
				answer(w, http.StatusServiceUnavailable, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient"}]}`)
				return
			}
			answer(w, http.StatusOK, `{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201 Created","location":"DocumentReference/1"}}]}`)
		})
	}
}

// take reads a body, waits and lets it be answered.
func (r *receiver) take(q *http.Request, reply func()) {
	began := time.Now()
	r.read(q.Body)
	if r.delay > 0 {
		time.Sleep(r.delay)
	}
	reply()
	r.spent.Add(int64(time.Since(began)))
}

// read takes a body in pieces that pass net/http's own buffer by.
func (r *receiver) read(body io.Reader) {
	buffer := r.buffers.Get().(*[128 << 10]byte)
	defer r.buffers.Put(buffer)
	for {
		if _, err := body.Read(buffer[:]); err != nil {
			return
		}
	}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // who does not wait for the answer fails by itself
}

// certificate makes one for 127.0.0.1 and leaves it in file as its own
// authority.
func certificate(file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

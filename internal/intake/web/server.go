package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/stdlog"
)

// Bounds on every connection and request.
const (
	headerWithin = 5 * time.Second
	idleFor      = time.Minute
	headerBytes  = 16 << 10
	// streamsPerConn is how many requests of an HTTP/2 connection may be in hand, and
	// windowPerStream and windowPerConn how many bytes of their bodies may come unread.
	streamsPerConn  = 64
	windowPerStream = 256 << 10
	windowPerConn   = 512 << 10
)

// Listener says where and how to listen.
type Listener struct {
	// Addr is HOST:PORT; port 0 takes a free one.
	Addr string
	// TLS is nil for plain HTTP, on loopback or behind a proxy that ends TLS.
	TLS *tls.Config
	// Connections is how many may be open.
	Connections int
}

// Server serves the API until it is closed.
type Server struct {
	api     *API
	http    *http.Server
	address net.Addr
	served  sync.WaitGroup
}

// Listen serves the API, and fails where nothing can listen. What goes wrong later goes to
// the log.
func Listen(ctx context.Context, l Listener, api *API, log *slog.Logger) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(l.TLS != nil)
	protocols.SetUnencryptedHTTP2(l.TLS == nil)
	s := &Server{
		api: api, address: listener.Addr(),
		http: &http.Server{
			Handler: api, TLSConfig: l.TLS, Protocols: protocols, ConnState: newConns(l.Connections).changed,
			ReadHeaderTimeout: headerWithin, IdleTimeout: idleFor, MaxHeaderBytes: headerBytes, ErrorLog: stdlog.For(log),
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams: streamsPerConn, MaxReceiveBufferPerStream: windowPerStream, MaxReceiveBufferPerConnection: windowPerConn,
				SendPingTimeout: 30 * time.Second, WriteByteTimeout: writeTime,
			},
		},
	}
	s.served.Go(func() {
		var err error
		if l.TLS != nil {
			err = s.http.ServeTLS(listener, "", "")
		} else {
			err = s.http.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP server has ended", "error", err)
		}
	})
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.address.String() }

// Stop takes no more requests, ends the event streams, and lets the other requests in hand
// end until ctx does.
func (s *Server) Stop(ctx context.Context) error {
	s.api.Close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	s.served.Wait()
	return err
}

package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/chartpost/chartpost/internal/stdlog"
)

// Bounds on one request, and on the end of the server.
const (
	headerWithin = 5 * time.Second
	readWithin   = 10 * time.Second
	idleFor      = time.Minute
	headerBytes  = 16 << 10
	endWithin    = time.Second
)

// Server serves a handler over plain HTTP.
type Server struct {
	http    *http.Server
	address net.Addr
	served  sync.WaitGroup
}

// Listen serves handler at addr, like 127.0.0.1:8080 or :8080, and fails where
// nothing can listen there. What goes wrong later goes to the log.
func Listen(ctx context.Context, addr string, handler http.Handler, log *slog.Logger) (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the HTTP server: %w", err)
	}
	s := &Server{
		address: listener.Addr(),
		http: &http.Server{
			Handler: survived(handler, log), ReadHeaderTimeout: headerWithin, ReadTimeout: readWithin, IdleTimeout: idleFor,
			MaxHeaderBytes: headerBytes, ErrorLog: stdlog.For(log),
		},
	}
	s.served.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP server has ended", "error", err)
		}
	})
	return s, nil
}

// survived tells a panic of handler by the type of its value and by its place.
// net/http would tell the value, which may be about a patient.
func survived(handler http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value != http.ErrAbortHandler { //nolint:errorlint // what net/http itself compares
				log.Error("a panic while answering over HTTP", "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		handler.ServeHTTP(w, r)
	})
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.address.String() }

// Close lets requests in hand end for a second, and ends the server.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.served.Wait()
	return err
}

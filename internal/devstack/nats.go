// Package devstack runs the real servers that development and tests work
// against: NATS with JetStream here, inside this process or as a process of its
// own that can be killed; an S3 server in the package s3dev.
//
// The production binary never links it.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// readyWithin is how long a server in this process may take to start. A slow
// machine under the race detector needs a few seconds of it.
const readyWithin = 2 * time.Minute

// NATSOptions says how a NATS server is run.
type NATSOptions struct {
	// Dir holds JetStream's files. Required.
	Dir string `json:"dir"`
	// Port is the port on 127.0.0.1: 0 takes a free one, -1 does not listen
	// at all, so that only InProcess connects.
	Port int `json:"port"`
	// MaxPayload is the greatest message in bytes; 0 is the server's 1 MiB.
	MaxPayload int32 `json:"max_payload,omitempty"`
	// LazySync lets the server write to the disk every two minutes, as it does
	// when nothing is set. Without it every message is synced before it is
	// confirmed, as in production.
	LazySync bool `json:"lazy_sync,omitempty"`
	// MaxFileStore is how many bytes all streams together may take on the disk;
	// 0 is what the disk has.
	MaxFileStore int64 `json:"max_file_store,omitempty"`
	// Seat makes the server a node of a cluster; StartNATSCluster fills it.
	Seat *Seat `json:"seat,omitempty"`
	// Log takes what the server says; nil is silence. A server in a process of
	// its own is silent.
	Log *slog.Logger `json:"-"`
}

// NATS is a NATS server inside this process.
type NATS struct {
	server *server.Server
	close  sync.Once
}

// StartNATS starts a server with JetStream and returns when it takes requests.
// It leaves the signals of this process alone.
func StartNATS(options NATSOptions) (*NATS, error) {
	settings, err := natsSettings(options)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(settings)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	log := &natsLog{to: options.Log}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	// After a fatal line it never becomes ready, and would be waited for.
	if log.lastFatal() != "" || !s.ReadyForConnections(readyWithin) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("nats: not ready: %q", log.lastFatal())
	}
	return &NATS{server: s}, nil
}

func natsSettings(options NATSOptions) (*server.Options, error) {
	if options.Dir == "" {
		return nil, errors.New("nats: no folder for JetStream")
	}
	settings := &server.Options{
		Host:                   "127.0.0.1",
		Port:                   options.Port,
		MaxPayload:             options.MaxPayload,
		JetStream:              true,
		StoreDir:               options.Dir,
		JetStreamMaxStore:      options.MaxFileStore,
		SyncAlways:             !options.LazySync,
		NoSigs:                 true,
		NoLog:                  options.Log == nil,
		DisableJetStreamBanner: true,
	}
	if options.Seat != nil {
		options.Seat.fill(settings)
	}
	switch options.Port {
	case 0:
		settings.Port = server.RANDOM_PORT
	case -1:
		settings.DontListen = true
	}
	return settings, nil
}

// URL is where the server listens; it is of no use with Port -1.
func (n *NATS) URL() string { return n.server.ClientURL() }

// InProcess connects a client without a socket:
//
//	nats.Connect("", stack.InProcess())
func (n *NATS) InProcess() nats.Option { return nats.InProcessServer(n.server) }

// Close stops the server and waits until its files are closed.
func (n *NATS) Close() error {
	n.close.Do(func() {
		n.server.Shutdown()
		n.server.WaitForShutdown()
	})
	return nil
}

// natsLog passes the server's log on, and keeps the last fatal line: it is the
// reason why a server does not become ready.
type natsLog struct {
	to    *slog.Logger
	mu    sync.Mutex
	fatal string
}

func (l *natsLog) lastFatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *natsLog) log(level slog.Level, format string, values []any) {
	if l.to != nil {
		l.to.Log(context.Background(), level, fmt.Sprintf(format, values...), "server", "nats")
	}
}

func (l *natsLog) Noticef(format string, v ...any) { l.log(slog.LevelInfo, format, v) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log(slog.LevelWarn, format, v) }
func (l *natsLog) Errorf(format string, v ...any)  { l.log(slog.LevelError, format, v) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log(slog.LevelDebug, format, v) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log(slog.LevelDebug, format, v) }

func (l *natsLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.fatal = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.log(slog.LevelError, format, v)
}

package devtest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Line is a connection to a NATS server that can lose the server's answers:
// what the client says still gets through.
type Line struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	deaf     bool
	open     []net.Conn
}

// NewLine opens a line to the server at target for the length of a test.
func NewLine(t testing.TB, target string) *Line {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{listener: listener, target: u.Host}
	t.Cleanup(func() { listener.Close(); l.Deafen(false) })
	go l.serve()
	return l
}

// URL is where a client reaches the server through the line.
func (l *Line) URL() string { return "nats://" + l.listener.Addr().String() }

// Deafen makes the line lose answers or not. It cuts the connections that stand
// when it hears again, since they have lost their place.
func (l *Line) Deafen(deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = deaf
	if !deaf {
		for _, c := range l.open {
			c.Close()
		}
		l.open = nil
	}
}

func (l *Line) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.target)
		if err != nil {
			client.Close()
			continue
		}
		l.mu.Lock()
		l.open = append(l.open, client, server)
		l.mu.Unlock()
		go func() { io.Copy(server, client); server.Close() }()
		go func() { io.Copy(answers{l, client}, server); client.Close() }()
	}
}

// answers writes to a client unless the line is deaf.
type answers struct {
	line   *Line
	client net.Conn
}

func (a answers) Write(p []byte) (int, error) {
	a.line.mu.Lock()
	defer a.line.mu.Unlock()
	if a.line.deaf {
		return len(p), nil
	}
	return a.client.Write(p)
}

package natsq

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// line is a connection to a server that can lose its answers: what the client
// says still gets through.
type line struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	deaf     bool
	open     []net.Conn
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, target: u.Host}
	t.Cleanup(func() { listener.Close(); l.set(false) })
	go l.serve()
	return l
}

func (l *line) url() string { return "nats://" + l.listener.Addr().String() }

// set makes the line deaf or not; it cuts the connections that stand when it
// hears again, since they have lost their place.
func (l *line) set(deaf bool) {
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

func (l *line) serve() {
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
	line   *line
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

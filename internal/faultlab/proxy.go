package faultlab

import (
	"errors"
	"net"
	"sync"
)

// Proxy is a TCP line to one server that can be cut or can fall silent. It is
// safe for concurrent use.
type Proxy struct {
	address, target string

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	open     map[net.Conn]bool
	silent   bool
}

// NewProxy opens a line at address to the server at target. The address must be
// one that nobody takes while connections are refused: not even the system, which
// gives the ports of high numbers to outgoing ones.
func NewProxy(address, target string) (*Proxy, error) {
	p := &Proxy{address: address, target: target, open: map[net.Conn]bool{}}
	if err := p.listen(); err != nil {
		return nil, err
	}
	return p, nil
}

// Address is where clients reach the server.
func (p *Proxy) Address() string { return p.address }

func (p *Proxy) listen() error {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.listener, p.address = l, l.Addr().String()
	go p.serve(l)
	return nil
}

// Pass lets everything through again. Connections that were held in silence are
// reset: what they carried is lost, as behind a firewall that forgot them.
func (p *Proxy) Pass() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent {
		p.cut()
	}
	p.silent = false
	if p.listener == nil {
		return p.listen()
	}
	return nil
}

// Hang keeps connections, takes new ones, and lets not a byte through.
func (p *Proxy) Hang() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
	return nil
}

// Refuse resets every connection and refuses new ones.
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return nil
	}
	err := p.listener.Close()
	p.listener = nil
	p.cut()
	return err
}

// Close is Refuse.
func (p *Proxy) Close() error { return p.Refuse() }

// cut resets every connection.
func (p *Proxy) cut() {
	for c := range p.open {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
	clear(p.open)
}

func (p *Proxy) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		narrow(client)
		narrow(server)
		if !p.keep(client, server) {
			continue
		}
		go p.pump(server, client)
		go p.pump(client, server)
	}
}

// buffered is how many bytes an end of a line takes in before anybody reads: few,
// so that a sender notices a reader that does not read.
const buffered = 64 << 10

func narrow(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetReadBuffer(buffered)
		_ = t.SetWriteBuffer(buffered)
	}
}

// keep books the two ends of a connection unless the line was cut meanwhile.
func (p *Proxy) keep(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[client], p.open[server] = true, true
	if p.listener == nil {
		p.cut()
		return false
	}
	return true
}

// pump copies until one end is closed. What was read in silence is never
// written: a connection that met silence ends by a reset.
func (p *Proxy) pump(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.isSilent() {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, to)
	delete(p.open, from)
}

func (p *Proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

package web

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// conns bounds the open connections. One too many ends the one that is idle for longest:
// unused connections keep no caller out.
type conns struct {
	most int

	mu   sync.Mutex
	all  map[net.Conn]*list.Element
	idle *list.List // the longest idle first; those that serve a request are not in it
	open int
}

func newConns(most int) *conns {
	return &conns{most: most, all: map[net.Conn]*list.Element{}, idle: list.New()}
}

// changed is the server's ConnState.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	switch extra := c.note(conn, state).(type) {
	case nil:
	case *tls.Conn:
		extra.NetConn().Close() // without a last word, which could be waited for
	default:
		extra.Close()
	}
}

// note keeps the books, and gives a connection to close.
func (c *conns) note(conn net.Conn, state http.ConnState) (extra net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.all[conn]
	if known && at != nil {
		c.idle.Remove(at)
	}
	switch state {
	case http.StateNew, http.StateIdle:
		if !known {
			c.open++
		}
		c.all[conn] = c.idle.PushBack(conn)
	case http.StateActive:
		if !known {
			c.open++
		}
		c.all[conn] = nil
	case http.StateClosed, http.StateHijacked:
		if known {
			c.open--
			delete(c.all, conn)
		}
	}
	if c.open <= c.most || state != http.StateNew {
		return nil
	}
	if c.idle.Len() == 0 {
		return conn
	}
	// It is told to be closed by its own state, later: till then it counts.
	front := c.idle.Remove(c.idle.Front()).(net.Conn)
	c.all[front] = nil
	return front
}

package natsq

import (
	"sync"
	"time"

	"github.com/chartpost/chartpost/worker"
)

// clock is what answers of the server have told of its time. Between them it goes
// on by this process's monotonic clock, so that it makes no difference what this
// machine takes for the time of day, nor whether that is set.
type clock struct {
	mu sync.Mutex
	// server is what it was by the server's clock at the local time.
	server, local time.Time
}

// saw takes in an answer that holds the server's time: it was then between began
// and ended. What was known stays as far as that allows it, since an answer that
// took long tells less.
func (c *clock) saw(server, began, ended time.Time) {
	if server.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	latest := server.Add(ended.Sub(began))
	now := server.Add(ended.Sub(began) / 2)
	if !c.local.IsZero() {
		now = c.server.Add(ended.Sub(c.local))
	}
	if now.Before(server) {
		now = server
	}
	if now.After(latest) {
		now = latest
	}
	c.server, c.local = now, ended
}

// at is the server's time at a local one; known is false before the first answer.
func (c *clock) at(local time.Time) (server time.Time, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.local.IsZero() {
		return time.Time{}, false
	}
	return c.server.Add(local.Sub(c.local)), true
}

var _ worker.Clock = (*Conn)(nil)

// Now implements worker.Clock with the time of the server. It is known once any
// stream was asked after, as Verify does.
func (c *Conn) Now() (now time.Time, known bool) { return c.clock.at(time.Now()) }

// clocksApart is by how much this machine's clock may be wrong.
const clocksApart = time.Minute

// compareClocks makes a clock that is wrong a trouble: what people read in events
// and logs is told by it.
func (c *Conn) compareClocks() {
	now := time.Now()
	server, known := c.clock.at(now)
	ahead := now.Sub(server)
	if !known || ahead.Abs() <= clocksApart {
		return
	}
	if unsaid, say := c.troubles.reported("the clocks of this machine and of the NATS server are more than a minute apart", now); say {
		c.log.Error("the clocks of this machine and of the nats server are apart", "ahead", ahead.Round(time.Second).String(), "unsaid", unsaid)
	}
}

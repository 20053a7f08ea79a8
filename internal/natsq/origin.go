package natsq

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// Headers that the server writes on copies. A plain work queue refuses both from a
// publisher (errors 10227 and 10212, nats-server 2.15.2).
const (
	headerSource    = "Nats-Stream-Source"
	headerScheduler = "Nats-Scheduler"
)

// origin is what is believed of a copy of a job beside its content: what the
// server says of it, or a worker or an operator through the stream of due jobs.
// A publisher's own headers are not believed. The zero origin is a publisher's.
type origin struct {
	// schedule is the subject of the schedule that brought the copy, if one did.
	schedule string
	prefix   string
	attempt  int
	line     worker.Line
}

// fromDue reports whether a message came from the stream of due jobs.
// NATS: the header's value begins with the name of the stream.
func (c *Conn) fromDue(header nats.Header) bool {
	stream, _, _ := strings.Cut(header.Get(headerSource), " ")
	return stream == c.stream(dueJobs)
}

// originOf reads the origin of a message of the jobs stream.
func (c *Conn) originOf(header nats.Header) origin {
	if !c.fromDue(header) {
		return origin{}
	}
	return c.originInDue(header)
}

// originInDue reads the origin of a message of the stream of due jobs.
func (c *Conn) originInDue(header nats.Header) origin {
	o := origin{schedule: header.Get(headerScheduler), prefix: c.prefix, line: lineIn(header)}
	if n, err := strconv.Atoi(header.Get(HeaderAttempt)); err == nil && n > 0 {
		o.attempt = n
	}
	return o
}

// attemptOf is the number that a schedule of this job gave the copy; 0 where no
// schedule did, or one of another job.
func (o origin) attemptOf(key schemas.JobKey) int {
	if o.schedule == "" || o.schedule != schemas.LaterSubject(o.prefix, key) {
		return 0
	}
	return o.attempt
}

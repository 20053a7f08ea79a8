package natsq

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// delivery is one leased copy of a job.
type delivery struct {
	msg      *nats.Msg
	lane     schemas.Lane
	sequence uint64
	stored   time.Time
	pending  uint64
	attempt  int
	line     worker.Line
}

var _ worker.Delivery = (*delivery)(nil)

func newDelivery(c *Conn, msg *nats.Msg) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("reading a delivery's metadata: %w", err)
	}
	lane, err := schemas.ServedLane(c.prefix, msg.Subject)
	if err != nil {
		return nil, fmt.Errorf("reading a delivery's subject: %w", err)
	}
	d := &delivery{msg: msg, lane: lane, sequence: meta.Sequence.Stream, stored: meta.Timestamp.UTC(), pending: meta.NumPending}
	d.attempt, d.line = attemptOf(c.prefix, msg.Header), lineIn(msg.Header)
	return d, nil
}

// attemptOf reads the number a schedule gave its copy. NATS: the server names
// the schedule on what it brings, and no publisher can: in a stream that allows
// schedules the header is refused but for one that purges a schedule.
func attemptOf(prefix string, header nats.Header) int {
	if !strings.HasPrefix(header.Get("Nats-Scheduler"), schemas.LaterSubject(prefix, "")) {
		return 0
	}
	n, err := strconv.Atoi(header.Get(HeaderAttempt))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (d *delivery) Lane() schemas.Lane { return d.lane }
func (d *delivery) Data() []byte       { return d.msg.Data }
func (d *delivery) Sequence() uint64   { return d.sequence }
func (d *delivery) Stored() time.Time  { return d.stored }
func (d *delivery) Attempt() int       { return d.attempt }
func (d *delivery) Line() worker.Line  { return d.line }
func (d *delivery) Pending() uint64    { return d.pending }

// Trace implements worker.Delivery.
func (d *delivery) Trace() schemas.Trace { return traceOf(d.msg.Header) }

// Extend tells the server that the job is being worked on.
func (d *delivery) Extend() error { return d.msg.InProgress() }

// ackPatience outlasts an election of a new leader (4-9 s), and no more: a
// server that was killed and is back does not know this lease and will never
// answer, while the job's slot waits.
const ackPatience = 15 * time.Second

// Ack waits for the server's word that the copy is gone, for at most 15 s. A
// plain ack may be lost, and the job come back.
func (d *delivery) Ack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	return insist.Do(ctx, hopeless, func(ctx context.Context) error { return d.msg.AckSync(nats.Context(ctx)) })
}

// GiveBack is not confirmed: when it is lost, the lease ends by itself.
func (d *delivery) GiveBack(delay time.Duration) error {
	if delay <= 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(delay)
}

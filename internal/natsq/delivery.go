package natsq

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/internal/retry"
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
	origin   origin
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
	d.origin = c.originOf(msg.Header)
	return d, nil
}

func (d *delivery) Lane() schemas.Lane { return d.lane }
func (d *delivery) Data() []byte       { return d.msg.Data }
func (d *delivery) Sequence() uint64   { return d.sequence }
func (d *delivery) Stored() time.Time  { return d.stored }
func (d *delivery) Line() worker.Line  { return d.origin.line }
func (d *delivery) Pending() uint64    { return d.pending }

// Attempt implements worker.Delivery.
func (d *delivery) Attempt(key schemas.JobKey) int { return d.origin.attemptOf(key) }

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
	return retry.Do(ctx, hopeless, func(ctx context.Context) error { return d.msg.AckSync(nats.Context(ctx)) })
}

// GiveBack is not confirmed: when it is lost, the lease ends by itself.
func (d *delivery) GiveBack(delay time.Duration) error {
	if delay <= 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(delay)
}

package natsq

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// delivery is one leased copy of a job.
type delivery struct {
	msg      *nats.Msg
	lane     schemas.Lane
	sequence uint64
	pending  uint64
	attempt  int
}

var _ worker.Delivery = (*delivery)(nil)

func newDelivery(c *Conn, msg *nats.Msg) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("reading a delivery's metadata: %w", err)
	}
	lane, err := schemas.ParseJobSubject(c.prefix, msg.Subject)
	if err != nil {
		return nil, fmt.Errorf("reading a delivery's subject: %w", err)
	}
	d := &delivery{msg: msg, lane: lane, sequence: meta.Sequence.Stream, pending: meta.NumPending}
	if n, err := strconv.Atoi(msg.Header.Get(HeaderAttempt)); err == nil && n > 0 {
		d.attempt = n
	}
	return d, nil
}

func (d *delivery) Lane() schemas.Lane { return d.lane }
func (d *delivery) Data() []byte       { return d.msg.Data }
func (d *delivery) Sequence() uint64   { return d.sequence }
func (d *delivery) Attempt() int       { return d.attempt }
func (d *delivery) Pending() uint64    { return d.pending }

// Extend tells the server that the job is being worked on.
func (d *delivery) Extend() error { return d.msg.InProgress() }

// Ack waits for the server's word that the copy is gone. A plain ack may be
// lost, and the job come back.
func (d *delivery) Ack(ctx context.Context) error {
	return insist(ctx, func(ctx context.Context) error { return d.msg.AckSync(nats.Context(ctx)) })
}

func (d *delivery) GiveBack(delay time.Duration) error {
	if delay == 0 {
		return d.msg.Nak()
	}
	return d.msg.NakWithDelay(delay)
}

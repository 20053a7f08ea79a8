package natsq

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// orphan is a copy of a job that no consumer delivers any more. The server knows
// no lease of it: the reaper's duty stands in for that.
type orphan struct {
	reaper  *reaper
	id      copyID
	lane    schemas.Lane
	msg     *jetstream.RawStreamMsg
	pending uint64
}

var _ worker.Delivery = (*orphan)(nil)

func newOrphan(r *reaper, lane schemas.Lane, msg *jetstream.RawStreamMsg, pending uint64) *orphan {
	return &orphan{reaper: r, id: idOf(msg), lane: lane, msg: msg, pending: pending}
}

func (o *orphan) Lane() schemas.Lane { return o.lane }
func (o *orphan) Data() []byte       { return o.msg.Data }
func (o *orphan) Sequence() uint64   { return o.msg.Sequence }
func (o *orphan) Stored() time.Time  { return o.msg.Time.UTC() }
func (o *orphan) Pending() uint64    { return o.pending }
func (o *orphan) Line() worker.Line  { return o.origin().line }

func (o *orphan) origin() origin { return o.reaper.in.conn.originOf(o.msg.Header) }

// Attempt implements worker.Delivery.
func (o *orphan) Attempt(key schemas.JobKey) int { return o.origin().attemptOf(key) }

// Trace implements worker.Delivery.
func (o *orphan) Trace() schemas.Trace { return traceOf(o.msg.Header) }

var errDuty = errors.New("another worker may look after forgotten jobs now")

// Extend renews nothing on the server; it fails when another worker may hand
// the copy out.
func (o *orphan) Extend() error {
	now := time.Now()
	if !o.reaper.duty.mine(now) {
		return errDuty
	}
	o.reaper.held.hold(o.id, now)
	return nil
}

// Ack removes the copy from the stream, trying for as long as a delivery's does.
func (o *orphan) Ack(ctx context.Context) error {
	defer o.reaper.held.release(o.id)
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	conn := o.reaper.in.conn
	return insist.Do(ctx, hopeless, func(ctx context.Context) error {
		return conn.removeStored(ctx, conn.stream(jobs), o.msg.Sequence, o.msg.Time)
	})
}

// GiveBack leaves the copy where it is: a later sweep brings it again.
func (o *orphan) GiveBack(time.Duration) error {
	o.reaper.held.release(o.id)
	return nil
}

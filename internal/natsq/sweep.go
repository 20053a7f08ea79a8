package natsq

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// sweep looks from time to time for what the server has lost sight of.
func (c *coordinator) sweep(ctx context.Context) {
	if c.in.pace.sweepLost == 0 || time.Since(c.sweptAt) < c.in.pace.sweepLost {
		return
	}
	c.sweptAt = time.Now()
	if err := errors.Join(c.findStuck(ctx), c.late.sweep(ctx)); err != nil && ctx.Err() == nil {
		c.in.conn.log.Debug("looking for jobs that the queue forgot; the next time comes", "error", reasonOf(err))
	}
}

// findStuck looks for messages that their lane's consumer believes settled, so that
// no worker is ever given them. A consumer that is made again delivers them, and the
// ledger knows what is left to do. One that was suspected at the last sweep too is
// stuck: an acknowledgement on its way has long arrived.
//
// Seen with nats-server 2.14.9 and 2.15.2 on a stream of one replica: a server that is
// killed may keep an acknowledgement and lose the removal that followed it.
func (c *coordinator) findStuck(ctx context.Context) error {
	infos, err := c.infos(ctx)
	if err != nil {
		return err
	}
	before := c.suspects
	c.suspects = map[schemas.Lane]uint64{}
	for lane, p := range c.roster.lanes {
		info := infos[lane]
		if info == nil || p.jobs == 0 {
			continue
		}
		msg, err := c.in.conn.fromLeader(ctx, c.in.conn.stream(jobs), leaderGet{NextOf: schemas.JobSubject(c.in.conn.prefix, lane), Sequence: 1})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if msg.Sequence > settledUpTo(info) {
			continue
		}
		c.suspects[lane] = msg.Sequence
		if before[lane] == msg.Sequence && !p.stuck {
			p.stuck = true
			c.in.conn.log.Info("the queue holds jobs of a lane that it would not deliver any more; the lane's consumer is made again", "class", lane.Class, "destination", lane.Destination)
		}
	}
	return nil
}

// settledUpTo is the sequence up to which a consumer has nothing to deliver and
// nothing in hand: all that it has delivered when nothing is leased, and else what
// lies at or below its acknowledgement floor.
func settledUpTo(info *jetstream.ConsumerInfo) uint64 {
	if info.NumAckPending == 0 {
		return info.Delivered.Stream
	}
	return info.AckFloor.Stream
}

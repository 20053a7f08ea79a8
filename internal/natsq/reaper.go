package natsq

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// reaper looks for orphans: messages that the stream holds and their lane's
// consumer believes settled, so that nobody is ever given them. It hands them to
// the worker as deliveries, whose admission knows from the ledger whether there
// is anything left to do.
//
// Seen with nats-server 2.14.9 and 2.15.2 on a stream of one replica: a server
// that is killed may keep an acknowledgement and lose the removal that followed
// it. A consumer with a limit of deliveries leaves the like.
type reaper struct {
	in   *Intake
	duty *duty
	// seen are the suspects of the last sweep.
	seen map[copyID]bool
	held orphansHeld
	late *overdue
}

// mostOrphans is how many orphans are handed over in one sweep, and how many
// suspects are looked at in one lane.
const mostOrphans = 64

// copyID tells a copy from every other, also in a stream that was made anew.
type copyID struct {
	sequence uint64
	stored   int64 // nanoseconds since 1970
}

func idOf(msg *jetstream.RawStreamMsg) copyID { return copyID{msg.Sequence, msg.Time.UnixNano()} }

func newReaper(in *Intake) *reaper {
	lease := in.settings.Lease
	d := newDuty(in.conn, in.inbox, 2*in.pace.reap, lease)
	return &reaper{in: in, duty: d, held: orphansHeld{lease: lease}, late: newOverdue(in, d)}
}

// run sweeps until the intake stops.
func (r *reaper) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-r.in.done; cancel() }()
	wait := rand.N(r.in.pace.reap)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := errors.Join(r.sweep(ctx), r.late.sweep(ctx)); err != nil && ctx.Err() == nil {
			r.in.conn.log.Debug("looking for jobs that the queue forgot; the next time comes", "error", reasonOf(err))
		}
		// The workers of a fleet need not look all at once.
		wait = r.in.pace.reap*3/4 + rand.N(r.in.pace.reap/2)
	}
}

// sweep looks at every lane that holds jobs. A suspect that was one in the last
// sweep too is an orphan: an acknowledgement on its way has long arrived.
func (r *reaper) sweep(ctx context.Context) error {
	if r.held.any(time.Now()) {
		if _, err := r.duty.take(ctx); err != nil {
			return err
		}
	}
	before := r.seen
	r.seen = map[copyID]bool{}
	left := mostOrphans
	lanes := append([]schemas.Lane{}, r.in.lanes.listed()...)
	rand.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
	for _, lane := range lanes {
		orphans, err := r.visit(ctx, lane, before, left)
		if err != nil {
			return err
		}
		if len(orphans) == 0 {
			continue
		}
		if mine, err := r.duty.take(ctx); err != nil || !mine {
			return err
		}
		left -= len(orphans)
		r.in.conn.log.Info("the queue holds jobs that it would deliver to nobody; they are taken up again",
			"class", lane.Class, "destination", lane.Destination, "jobs", len(orphans))
		r.hand(lane, orphans)
	}
	if len(r.seen) > 0 && !r.duty.mine(time.Now()) {
		// The time until a dead worker's duty passes on begins with a first look.
		_, err := r.duty.take(ctx)
		return err
	}
	return nil
}

// visit notes a lane's suspects and gives those that are orphans and in nobody's
// hands, at most as many as are wanted. One in hand is a suspect still.
func (r *reaper) visit(ctx context.Context, lane schemas.Lane, before map[copyID]bool, most int) ([]*orphan, error) {
	stream, subject := r.in.conn.stream(jobs), schemas.JobSubject(r.in.conn.prefix, lane)
	consumer, err := r.in.conn.js.Consumer(ctx, stream, consumerName(lane))
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDoesNotExist) {
		return nil, nil // whoever makes it anew is given everything
	}
	if err != nil {
		return nil, err
	}
	info := consumer.CachedInfo()
	if info.Paused {
		return nil, nil // the worker would give back what it is handed
	}
	var orphans []*orphan
	settled, from := settledUpTo(info), uint64(1)
	for n := 0; n < mostOrphans && from <= settled; n++ {
		msg, err := r.in.conn.fromLeader(ctx, stream, leaderGet{NextOf: subject, Sequence: from})
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Sequence > settled {
			break
		}
		if err != nil {
			return nil, err
		}
		id := idOf(msg)
		r.seen[id] = true
		if before[id] && len(orphans) < most && !r.held.has(id, time.Now()) {
			orphans = append(orphans, newOrphan(r, lane, msg, info.NumPending))
		}
		from = msg.Sequence + 1
	}
	return orphans, nil
}

// settledUpTo is the sequence up to which a consumer has nothing to deliver and
// nothing in hand: all that it has delivered when nothing is leased, and else
// what lies at or below its acknowledgement floor.
func settledUpTo(info *jetstream.ConsumerInfo) uint64 {
	if info.NumAckPending == 0 {
		return info.Delivered.Stream
	}
	return info.AckFloor.Stream
}

// hand gives orphans to the worker, as long as no other worker may do so.
func (r *reaper) hand(lane schemas.Lane, orphans []*orphan) {
	for _, o := range orphans {
		now := time.Now()
		if !r.duty.mine(now) {
			return
		}
		r.held.hold(o.id, now)
		r.in.answer(worker.Answer{Lane: lane, Delivery: o})
	}
}

// orphansHeld are the orphans in this worker's hands, each until it is ended or
// nobody has spoken of it for a lease.
type orphansHeld struct {
	lease time.Duration
	mu    sync.Mutex
	until map[copyID]time.Time
}

func (h *orphansHeld) hold(id copyID, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil {
		h.until = map[copyID]time.Time{}
	}
	h.until[id] = now.Add(h.lease)
}

func (h *orphansHeld) release(id copyID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.until, id)
}

func (h *orphansHeld) has(id copyID, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.until[id])
}

// any tells whether there are some, and forgets those whose lease has ended.
func (h *orphansHeld) any(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, until := range h.until {
		if !now.Before(until) {
			delete(h.until, id)
		}
	}
	return len(h.until) > 0
}

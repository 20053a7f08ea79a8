package natsq

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// stray is a message on a subject that is no destination's. No consumer is made for
// it: whoever has the tenure reads it and has it buried. The server knows no lease of
// it: the tenure stands in for that.
type stray struct {
	held *straysHeld
	lane schemas.Lane
	msg  *jetstream.RawStreamMsg
}

var _ worker.Delivery = (*stray)(nil)

func (s *stray) Lane() schemas.Lane   { return s.lane }
func (s *stray) Data() []byte         { return s.msg.Data }
func (s *stray) Sequence() uint64     { return s.msg.Sequence }
func (s *stray) Stored() time.Time    { return s.msg.Time.UTC() }
func (s *stray) Pending() uint64      { return 0 }
func (s *stray) Line() worker.Line    { return s.origin().line }
func (s *stray) Trace() schemas.Trace { return traceOf(s.msg.Header) }
func (s *stray) origin() origin       { return s.held.conn.originOf(s.msg.Header) }

// Attempt implements worker.Delivery.
func (s *stray) Attempt(key schemas.JobKey) int { return s.origin().attemptOf(key) }

var errTenure = errors.New("another worker may look after misaddressed jobs now")

// Extend renews nothing on the server. It fails when another worker may hand the copy
// out.
func (s *stray) Extend() error {
	if !s.held.tenure.mine(time.Now()) {
		return errTenure
	}
	return nil
}

// Ack removes the copy from the stream, trying for as long as a delivery's does.
func (s *stray) Ack(ctx context.Context) error {
	defer s.held.release(s.msg.Sequence)
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	conn := s.held.conn
	return retry.Do(ctx, hopeless, func(ctx context.Context) error {
		return conn.removeStored(ctx, conn.stream(jobs), s.msg.Sequence, s.msg.Time)
	})
}

// GiveBack leaves the copy where it is: it is read again.
func (s *stray) GiveBack(time.Duration) error {
	s.held.found(nil) // this worker has no slot: the next listing is soon enough
	s.held.release(s.msg.Sequence)
	return nil
}

// mostStrays is how many misaddressed jobs are in hand at once: a flood of them must
// not hold the slots of others.
const mostStrays = 4

// straysHeld are the misaddressed jobs that this worker is to bury, and has in hand.
type straysHeld struct {
	conn   *Conn
	tenure *tenure
	// room has a value for each job that may be in hand.
	room chan struct{}
	// more gets a value when there is more to do.
	more chan struct{}

	mu sync.Mutex
	// lanes are those that hold some by the newest listing and were not looked at.
	lanes  []schemas.Lane
	inHand map[uint64]bool
}

func newStraysHeld(c *Conn, t *tenure) *straysHeld {
	return &straysHeld{
		conn: c, tenure: t, room: make(chan struct{}, mostStrays), more: make(chan struct{}, 1), inHand: map[uint64]bool{},
	}
}

// found takes in the lanes of the newest listing.
func (h *straysHeld) found(lanes []schemas.Lane) {
	h.mu.Lock()
	h.lanes = lanes
	h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// some reports whether there are any.
func (h *straysHeld) some() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lanes)+len(h.inHand) > 0
}

func (h *straysHeld) next() (lane schemas.Lane, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lanes) == 0 {
		return schemas.Lane{}, false
	}
	lane, h.lanes = h.lanes[0], h.lanes[1:]
	return lane, true
}

// hold is false for one that is in hand.
func (h *straysHeld) hold(sequence uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inHand[sequence] {
		return false
	}
	h.inHand[sequence] = true
	return true
}

func (h *straysHeld) release(sequence uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inHand[sequence] {
		delete(h.inHand, sequence)
		<-h.room
	}
}

// handOut has misaddressed jobs buried, a few at a time, until ctx ends.
func (h *straysHeld) handOut(ctx context.Context, answer func(worker.Answer)) {
	for {
		lane, ok := h.next()
		if !ok || !h.tenure.mine(time.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-h.more:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case h.room <- struct{}{}:
		}
		msg, err := h.conn.fromLeader(ctx, h.conn.stream(jobs), leaderGet{NextOf: schemas.JobSubject(h.conn.prefix, lane), Sequence: 1})
		if err != nil || !h.hold(msg.Sequence) {
			<-h.room
			continue
		}
		answer(worker.Answer{Lane: lane, Delivery: &stray{held: h, lane: lane, msg: msg}})
	}
}

package natsq

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
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
	return insist.Do(ctx, hopeless, func(ctx context.Context) error {
		return conn.removeStored(ctx, conn.stream(jobs), s.msg.Sequence, s.msg.Time)
	})
}

// GiveBack leaves the copy where it is: it is read again.
func (s *stray) GiveBack(time.Duration) error {
	s.held.release(s.msg.Sequence)
	return nil
}

// mostStrays is how many misaddressed jobs are in hand at once: a flood of them must
// not hold the slots of others.
const mostStrays = 2

// straysHeld are the misaddressed jobs in this worker's hands.
type straysHeld struct {
	conn   *Conn
	tenure *tenure
	mu     sync.Mutex
	inHand map[uint64]bool
}

func newStraysHeld(c *Conn, t *tenure) *straysHeld {
	return &straysHeld{conn: c, tenure: t, inHand: map[uint64]bool{}}
}

// room is how many more may be handed out.
func (h *straysHeld) room() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return mostStrays - len(h.inHand)
}

// hold is false for one that is in hand already.
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
	delete(h.inHand, sequence)
}

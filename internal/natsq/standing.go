package natsq

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/schemas"
)

// Holding is what a stream, or the stream of a bucket, held when Attend asked
// after it last.
type Holding struct {
	// Name is without prefix, in small letters: jobs, events, dead, ledger, control.
	Name            string
	Messages, Bytes uint64
}

// holdings are the last answers, by stream.
type holdings struct {
	mu  sync.Mutex
	all map[string]Holding
}

func (h *holdings) note(prefix, stream string, state jetstream.StreamState) {
	name := strings.TrimPrefix(strings.TrimPrefix(stream, bucketPrefix), schemas.StreamName(prefix, ""))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]Holding{}
	}
	h.all[stream] = Holding{strings.ToLower(name), state.Msgs, state.Bytes}
}

// Holdings are what the streams held when Attend asked last, in the order of
// their names; before its first answers there are none.
func (c *Conn) Holdings() []Holding {
	c.holdings.mu.Lock()
	defer c.holdings.mu.Unlock()
	list := make([]Holding, 0, len(c.holdings.all))
	for _, h := range c.holdings.all {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Holding) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Reconnects counts how often the connection was made again.
func (c *Conn) Reconnects() uint64 { return c.life() }

// Renewed counts the schedules that stood long after their time and that this
// process wrote again, so that the queue fires them.
func (c *Conn) Renewed() uint64 { return c.renewed.Load() }

// Oldest is when the oldest job of a lane was stored, one in a worker's hands
// included; ok is false for a lane that holds none.
func (c *Conn) Oldest(ctx context.Context, lane schemas.Lane) (stored time.Time, ok bool, err error) {
	msg, err := c.fromLeader(ctx, c.stream(jobs), leaderGet{NextOf: schemas.JobSubject(c.prefix, lane), Sequence: 1})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, err
	}
	return msg.Time, true, nil
}

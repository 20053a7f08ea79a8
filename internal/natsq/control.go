package natsq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/internal/versioned"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
	"github.com/chartpost/chartpost/worker/lanes"
)

// Control keeps the states of lanes in the control bucket, one key a lane:
// "lane.<class>.<destination>".
//
// It writes and reads the bucket's stream itself: a state must be read from the
// leader, and of a removal the library does not tell the revision.
// NATS: ADR-8, "JetStream based Key-Value Stores".
type Control struct {
	conn *Conn
	mu   sync.Mutex
	// complained is when a record that cannot be read was last told of.
	complained time.Time
}

var _ worker.Control = (*Control)(nil)

const (
	lanePrefix  = "lane."
	kvOperation = "KV-Operation"
	kvDelete    = "DEL"
)

// Control opens the bucket of the lanes' states.
func (c *Conn) Control(ctx context.Context) (*Control, error) {
	if _, err := c.bucket(ctx, c.stream(control)); err != nil {
		return nil, err
	}
	return c.control(), nil
}

func (c *Conn) control() *Control { return &Control{conn: c} }

func (c *Control) stream() string { return bucketStream(c.conn.stream(control)) }

func (c *Control) subject(key string) string { return "$KV." + c.conn.stream(control) + "." + key }

// errStray refuses a state of a lane that belongs to no destination.
var errStray = errors.New("a lane of misaddressed jobs has no state")

// Get reads the state of one lane. One nobody has written of is empty.
func (c *Control) Get(ctx context.Context, lane schemas.Lane) (state worker.LaneState, err error) {
	err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
		state, err = c.read(ctx, lane)
		return err
	})
	return state, err
}

// Put implements worker.Control. Beside ErrChanged it fails when ctx ends before the
// outcome of the write is known.
func (c *Control) Put(ctx context.Context, state worker.LaneState) (worker.LaneState, error) {
	if state.Lane.Stray() {
		return state, errStray
	}
	if state.Later {
		return state, worker.ErrLater
	}
	if state.Empty() && state.Revision == 0 {
		found, err := c.Get(ctx, state.Lane)
		if err == nil && !found.Empty() {
			err = worker.ErrChanged
		}
		return found, err
	}
	var value []byte
	if !state.Empty() {
		var err error
		if value, err = json.Marshal(state); err != nil {
			return state, fmt.Errorf("encoding a lane's state: %w", err)
		}
	}
	w := &laneWrite{control: c, lane: state.Lane, value: value, expected: state.Revision}
	if err := retry.Do(ctx, refused, w.try); err != nil {
		return state, err
	}
	state.Revision = w.revision
	return state, nil
}

// refused tells errors of a write that no wait can cure.
func refused(err error) bool { return errors.Is(err, worker.ErrChanged) || hopeless(err) }

// laneWrite is one compare-and-set, tried until its outcome is known.
type laneWrite struct {
	control *Control
	lane    schemas.Lane
	// value is the new record, nil to remove it.
	value    []byte
	expected uint64
	// tried tells that a try may have been stored although it seemed to fail.
	tried    bool
	revision uint64
}

func (w *laneWrite) try(ctx context.Context) error {
	msg := nats.NewMsg(w.control.subject(lanePrefix + w.lane.Tail()))
	msg.Data = w.value
	if w.value == nil {
		msg.Header.Set(kvOperation, kvDelete)
	}
	ack, err := w.control.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(w.expected))
	if err == nil {
		w.revision = ack.Sequence
		return nil
	}
	if !lostRace(err) {
		w.tried = true
		return err
	}
	return w.contested(ctx, err)
}

// contested finds out what a lost compare-and-set means: a record removed
// before, which a first one follows; our own write, of a try that seemed to
// fail; a write still in flight, after which the revision may stand; or
// somebody else's. No two writers write the same record: it names the prober,
// or who paused and when. Where they do, both have what they want.
func (w *laneWrite) contested(ctx context.Context, lost error) error {
	found, err := w.control.fetch(ctx, w.lane)
	switch {
	case err != nil:
		return err
	case found.revision == w.expected:
		return lost
	case w.tried && bytes.Equal(found.value, w.value):
		w.revision = found.revision
		return nil
	case w.expected == 0 && found.value == nil:
		w.expected = found.revision
		return lost
	}
	return worker.ErrChanged
}

// lostRace tells a lost compare-and-set. A replicated stream has a code of its
// own for it while another write is in flight.
func lostRace(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// record is what the bucket holds of a lane; value is nil where there is none,
// and revision 0 where there never was one.
type record struct {
	value    []byte
	revision uint64
}

func (c *Control) fetch(ctx context.Context, lane schemas.Lane) (record, error) {
	msg, err := c.conn.fromLeader(ctx, c.stream(), leaderGet{LastOf: c.subject(lanePrefix + lane.Tail())})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	return record{value: valueOf(msg.Header, msg.Data), revision: msg.Sequence}, nil
}

// valueOf is nil for the marks that a removal leaves.
func valueOf(header nats.Header, data []byte) []byte {
	if header.Get(kvOperation) != "" || header.Get(jetstream.MarkerReasonHeader) != "" {
		return nil
	}
	return append([]byte{}, data...)
}

// read gives a lane's state as the leader has it.
func (c *Control) read(ctx context.Context, lane schemas.Lane) (worker.LaneState, error) {
	found, err := c.fetch(ctx, lane)
	if err != nil {
		return worker.LaneState{Lane: lane}, err
	}
	return c.decode(lane, found), nil
}

// decode reads a record. One that cannot be read says nothing, but has its
// revision: it can be replaced. One of a later version stays as it is.
func (c *Control) decode(lane schemas.Lane, r record) worker.LaneState {
	var state worker.LaneState
	if r.value != nil {
		err := json.Unmarshal(r.value, &state)
		if _, later := errors.AsType[*versioned.Newer](err); later {
			c.complain(lanePrefix+lane.Tail(), "a later version wrote a lane's record in the control bucket; this worker takes no jobs of the lane")
			return lanes.LaterState(lane, r.revision)
		}
		if err != nil || state.Limit < 0 {
			c.complain(lanePrefix+lane.Tail(), unreadableLane)
			state = worker.LaneState{}
		}
	}
	state.Lane, state.Revision = lane, r.revision
	return state
}

const unreadableLane = "a lane's record in the control bucket cannot be read, and counts as none"

// complain tells once a minute of a record that cannot be read, or of one whose
// key is no lane's: that key is not shown.
func (c *Control) complain(key, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.complained) >= time.Minute {
		c.complained = now
		c.conn.log.Warn(text, "key", key)
	}
}

// laneOf reads the lane out of a subject of the bucket.
func (c *Control) laneOf(subject string) (schemas.Lane, bool) {
	tail, ok := strings.CutPrefix(subject, c.subject(lanePrefix))
	if !ok {
		return schemas.Lane{}, false
	}
	if tail == AllLanes().Tail() {
		return AllLanes(), true
	}
	lane, err := schemas.ParseTail(tail)
	return lane, err == nil
}

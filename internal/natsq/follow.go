package natsq

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/insist"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// followHeartbeat bounds how long a worker believes an old state when the server
// that told it has died: twice this.
const followHeartbeat = 5 * time.Second

// Follow implements worker.Control.
func (c *Control) Follow(ctx context.Context, changed func(worker.LaneState)) {
	f := &following{control: c, changed: changed, listed: func() bool { return true }}
	// The first try may find the server away too.
	_ = insist.Do(ctx, hopeless, func(try context.Context) error {
		return f.run(ctx)
	})
}

// All lists the states of lanes that have one.
func (c *Control) All(ctx context.Context) ([]worker.LaneState, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var states []worker.LaneState
	complete := false
	f := &following{control: c,
		changed: func(s worker.LaneState) { states = append(states, s) },
		listed:  func() bool { complete = true; return false },
	}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	if !complete {
		return nil, errors.Join(errListing, ctx.Err())
	}
	return states, nil
}

var errListing = errors.New("the listing of the lanes' states did not come to its end")

// following is where a Follow has come to.
type following struct {
	control *Control
	changed func(worker.LaneState)
	// listed is told that every state there is has been told; it returns false
	// when that was all it wanted.
	listed func() bool
	// told are the lanes that were told of, with or without a state; found those
	// in the listing under way, nil when none is.
	told, found map[schemas.Lane]bool
	// left is how many records the listing has still to bring.
	left uint64
}

func (f *following) run(ctx context.Context) error {
	t := &tail{
		conn: f.control.conn, stream: f.control.stream(), what: "the states of the lanes", heartbeat: followHeartbeat,
		config: func() jetstream.ConsumerConfig {
			return jetstream.ConsumerConfig{
				FilterSubject: f.control.subject(lanePrefix + ">"), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
			}
		},
		listing: f, each: f.take,
	}
	return t.run(ctx, func() error { return nil })
}

// begin starts a listing: each consumer begins with the last record of every
// lane.
func (f *following) begin(waiting uint64) bool {
	if f.told == nil {
		f.told = map[schemas.Lane]bool{}
	}
	f.found, f.left = map[schemas.Lane]bool{}, waiting
	return waiting > 0 || f.end()
}

func (f *following) listing() bool { return f.found != nil }

func (f *following) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	f.tell(msg, meta.Sequence.Stream)
	if f.found == nil {
		return true
	}
	// A record that is changed while it waits comes once, later.
	if f.left--; f.left > 0 && meta.NumPending > 0 {
		return true
	}
	return f.end()
}

func (f *following) tell(msg jetstream.Msg, revision uint64) {
	lane, ok := f.control.laneOf(msg.Subject())
	if !ok {
		f.control.complain("")
		return
	}
	state := f.control.decode(lane, record{valueOf(nats.Header(msg.Headers()), msg.Data()), revision})
	if f.found != nil {
		f.found[lane] = true
		if state.Empty() && !f.told[lane] {
			return // removed before anybody here knew of it
		}
	}
	// A removal is told again too: it may be another, of another revision.
	f.told[lane] = true
	f.changed(state)
}

// end tells of what went unseen: the lanes whose record, or the mark of its
// removal, is gone without a trace.
func (f *following) end() bool {
	for lane := range f.told {
		if !f.found[lane] {
			delete(f.told, lane)
			f.changed(worker.LaneState{Lane: lane})
		}
	}
	f.found = nil
	return f.listed()
}

package natsq

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// followHeartbeat bounds how long a worker believes an old state when the server
// that told it has died: twice this.
const followHeartbeat = 5 * time.Second

// Follow implements worker.Control.
// A pause of all lanes is not told: the worker that looks after the lanes obeys it, and so
// does each worker's Intake.
func (c *Control) Follow(ctx context.Context, changed func(worker.LaneState)) {
	c.follow(ctx, func(s worker.LaneState) {
		if s.Lane == AllLanes() {
			c.conn.allPaused.Store(s.Pause)
			return
		}
		changed(s)
	}, func() {})
}

// follow does as Follow does, and calls listed each time that every state has been
// told.
func (c *Control) follow(ctx context.Context, changed func(worker.LaneState), listed func()) {
	f := &following{control: c, changed: changed, listed: func() bool { listed(); return true }}
	// The first try may find the server away too.
	_ = retry.Do(ctx, hopeless, func(try context.Context) error {
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
//
// A revision told of a lane may be followed by a smaller one, for two reasons
// that must be told apart. The bucket went back: it was deleted and made anew, or
// its server came up from an older copy of its files. Then the lane is told to
// have no state before it is told the smaller one, which would count as old
// otherwise. Or the record is merely late: the consumer has one replica, which
// may be at a server that lags behind the one which told before, and lists what
// was the last record there. The bucket's leader knows which. Within the life of
// one consumer neither occurs: it brings rising sequences, each once, since it is
// made anew for every message that was lost.
type following struct {
	control *Control
	changed func(worker.LaneState)
	// listed is told that every state there is has been told; it returns false
	// when that was all it wanted.
	listed func() bool
	// created is when the stream behind the bucket was made; remade tells that it
	// is not the one of the start.
	created time.Time
	remade  bool
	// told are the revisions told last, of lanes with or without a state; found
	// are the lanes seen in the listing under way, nil when none is.
	told  map[schemas.Lane]uint64
	found map[schemas.Lane]bool
	// left is how many records the listing has still to bring.
	left uint64
	// stands gives a lane's record as the leader has it, and madeAt when the stream
	// was made; both try for as long as the following lasts.
	stands func(schemas.Lane) (record, error)
	madeAt func() (time.Time, error)
}

// another stands for the revisions of a stream that was replaced: no record of
// this one is as new.
const another = math.MaxUint64

func (f *following) run(ctx context.Context) error {
	f.asking(ctx)
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

// asking lets the following ask the leader until ctx ends.
func (f *following) asking(ctx context.Context) {
	f.stands = func(lane schemas.Lane) (r record, err error) {
		err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
			r, err = f.control.fetch(ctx, lane)
			return err
		})
		return r, err
	}
	f.madeAt = func() (at time.Time, err error) {
		err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
			stream, err := f.control.conn.js.Stream(ctx, f.control.stream())
			if err == nil {
				at = stream.CachedInfo().Created
			}
			return err
		})
		return at, err
	}
}

// begin starts a listing: each consumer begins with the last record of every
// lane. The stream is asked after once the consumer stands: one that replaces it
// later has no such consumer, nothing comes of it, and another listing begins.
func (f *following) begin(waiting uint64) bool {
	created, err := f.madeAt()
	if err != nil {
		return true // the following is at its end
	}
	if f.told == nil {
		f.told, f.created = map[schemas.Lane]uint64{}, created
	}
	if !created.Equal(f.created) {
		f.created, f.remade = created, true
		for lane := range f.told {
			f.told[lane] = another
		}
	}
	f.found, f.left = map[schemas.Lane]bool{}, waiting
	return waiting > 0 || f.end()
}

func (f *following) listing() bool { return f.found != nil }

func (f *following) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	if lane, ok := f.control.laneOf(msg.Subject()); ok {
		f.tell(lane, record{valueOf(nats.Header(msg.Headers()), msg.Data()), meta.Sequence.Stream})
	} else {
		f.control.complain("", unreadableLane)
	}
	if f.found == nil {
		return true
	}
	// A record that is changed while it waits comes once, later.
	if f.left--; f.left > 0 && meta.NumPending > 0 {
		return true
	}
	return f.end()
}

func (f *following) tell(lane schemas.Lane, r record) {
	if f.found != nil {
		f.found[lane] = true
	}
	last, known := f.told[lane]
	if !known && f.remade {
		// Whoever is told may know of it by a write of its own, to the old stream.
		last, known = another, true
	}
	if r.revision < last {
		if !f.wentBack(lane, last) {
			return // late: what was told comes again when the replica has it
		}
		f.changed(worker.LaneState{Lane: lane})
	}
	state := f.control.decode(lane, r)
	if f.found != nil && state.Empty() && !known {
		return // removed before anybody here knew of it
	}
	// A removal is told again too: it may be another, of another revision.
	f.told[lane] = r.revision
	f.changed(state)
}

// wentBack tells whether the leader has nothing of a lane that is as new as what
// was told last. At the end of the following nobody knows, and nothing is told.
func (f *following) wentBack(lane schemas.Lane, last uint64) bool {
	r, err := f.stands(lane)
	return err == nil && r.revision < last
}

// end tells of what went unseen: the lanes whose record, or the mark of its
// removal, is gone without a trace.
func (f *following) end() bool {
	for lane, last := range f.told {
		if !f.found[lane] && f.wentBack(lane, last) {
			delete(f.told, lane)
			f.changed(worker.LaneState{Lane: lane})
		}
	}
	f.found = nil
	return f.listed()
}

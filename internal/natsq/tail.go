package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
)

// tailIdle is after how long the server removes the consumer of a tail that
// could not do so itself.
const tailIdle = time.Minute

// tail reads a stream through a consumer of its own, in order, for as long as
// wanted. It outlives a server that goes away and comes back, and leaves
// nothing behind on the server.
//
// It does not use the library's ordered consumer, which cannot be stopped while
// the server is away and leaves its consumers to time out.
type tail struct {
	conn   *Conn
	stream string
	// what says to the log what is followed: "the events".
	what string
	// heartbeat is how often the server speaks when there is nothing; its loss is
	// noticed after two. 0 is the library's 15 s.
	heartbeat time.Duration
	// config says from where to read. It is asked again after each interruption.
	config func() jetstream.ConsumerConfig
	// listing is for who wants to know when all that was there has come; nil is
	// nobody.
	listing listing
	// each takes a message, until it returns false.
	each func(msg jetstream.Msg, meta *jetstream.MsgMetadata) (more bool)
	// began is when what now reads was begun; said, that it stands.
	began time.Time
	said  bool
}

// listing follows the first part of a tail, which brings what was there before.
type listing interface {
	// begin is told of each consumer just made.
	begin(waiting uint64) (more bool)
	// listing tells whether the end is still awaited.
	listing() bool
	// end is told that nothing more waits, where each could not know it: the last
	// ones were removed while they waited.
	end() (more bool)
}

// tailQuiet is how long a listing waits for the next message before it asks
// whether there is one.
const tailQuiet = time.Second

// run reads until each or listing has had enough or ctx ends. started is called
// once the subscription stands: what is published after it is seen. An error
// means that it never stood, or that no wait can help.
func (t *tail) run(ctx context.Context, started func() error) error {
	consumer, err := t.open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name(), err)
	}
	defer func() { t.remove(ctx, consumer) }()
	if err := started(); err != nil {
		return err
	}
	for {
		over, err := t.follow(ctx, consumer)
		if over {
			t.stands()
		}
		if over || ctx.Err() != nil {
			return nil
		}
		t.conn.log.Info(t.name()+" was interrupted and goes on", "error", reasonOf(err))
		if t.underWay() {
			t.conn.tried(t.name(), "", t.began, err)
		}
		t.remove(ctx, consumer)
		if _, denied := errors.AsType[*Denied](err); denied {
			t.pause(ctx)
		}
		err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
			consumer, err = t.open(ctx)
			return err
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.name(), err)
		}
	}
}

// deniedPause is until what the server denies is tried again: it may be allowed then.
const deniedPause = time.Second

func (t *tail) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(deniedPause):
	}
}

func (t *tail) open(ctx context.Context) (jetstream.Consumer, error) {
	config := t.config()
	config.AckPolicy, config.MemoryStorage, config.Replicas = jetstream.AckNonePolicy, true, 1
	config.InactiveThreshold = tailIdle
	t.began, t.said = time.Now(), false
	consumer, err := t.conn.js.CreateConsumer(ctx, t.stream, config)
	if err != nil {
		t.conn.tried(t.name(), "", t.began, err)
	}
	return consumer, err
}

// name is what the log and Troubles call the following.
func (t *tail) name() string { return "following " + t.what }

// underWay tells whether there is still a listing to come to its end.
func (t *tail) underWay() bool { return t.listing != nil && t.listing.listing() }

// stands notes that the following works: what was there has come, where anybody
// waits for it.
func (t *tail) stands() {
	if !t.said {
		t.said = true
		t.conn.tried(t.name(), "", t.began, nil)
	}
}

// remove is for tidiness: the server does the same after tailIdle.
func (t *tail) remove(ctx context.Context, consumer jetstream.Consumer) {
	if consumer == nil || !t.conn.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = t.conn.js.DeleteConsumer(ctx, t.stream, consumer.CachedInfo().Name)
}

// follow reads messages until somebody has had enough (over), ctx ends, or
// messages may have been lost on the way: after a reconnect, and where the
// consumer's own count has a gap. A server that denies the pull is not waited for.
func (t *tail) follow(ctx context.Context, consumer jetstream.Consumer) (over bool, err error) {
	ctx, done := t.conn.denials.watch(ctx, "MSG.NEXT."+t.stream+".")
	defer done()
	over, err = t.read(ctx, consumer)
	if denied, ok := errors.AsType[*Denied](context.Cause(ctx)); ok && !over {
		err = denied
	}
	return over, err
}

func (t *tail) read(ctx context.Context, consumer jetstream.Consumer) (over bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broken := t.conn.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer t.conn.nc.RemoveStatusListener(broken)
	go func() {
		select {
		case <-broken:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	if !t.conn.Connected() {
		return false, nats.ErrDisconnected
	}
	if t.listing != nil && !t.listing.begin(consumer.CachedInfo().NumPending) {
		return true, nil
	}
	options := []jetstream.PullMessagesOpt{jetstream.WithMessagesErrOnMissingHeartbeat(true)}
	if t.heartbeat > 0 {
		options = append(options, jetstream.PullHeartbeat(t.heartbeat))
	}
	messages, err := consumer.Messages(options...)
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	for count := uint64(1); ; count++ {
		msg, err := t.next(ctx, messages)
		for errors.Is(err, errQuiet) {
			if over, err := t.ended(ctx, consumer, count-1); over || err != nil {
				return over, err
			}
			msg, err = t.next(ctx, messages)
		}
		if err != nil {
			return false, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return false, err
		}
		if meta.Sequence.Consumer != count {
			return false, fmt.Errorf("%d messages were lost on the way", meta.Sequence.Consumer-count)
		}
		if !t.each(msg, meta) {
			return true, nil
		}
	}
}

var errQuiet = errors.New("nothing came for a while")

// next waits for a message: for ever, or while a listing is under way until it is
// quiet.
func (t *tail) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	if !t.underWay() {
		t.stands()
		return messages.Next(jetstream.NextContext(ctx))
	}
	quiet, cancel := context.WithTimeout(ctx, tailQuiet)
	defer cancel()
	msg, err := messages.Next(jetstream.NextContext(quiet))
	if err != nil && quiet.Err() != nil && ctx.Err() == nil {
		return nil, errQuiet
	}
	return msg, err
}

// ended asks the server whether a listing of which n messages came is at its end.
func (t *tail) ended(ctx context.Context, consumer jetstream.Consumer, n uint64) (over bool, err error) {
	info, err := consumer.Info(ctx)
	switch {
	case err != nil:
		return false, err
	case info.NumPending > 0 || info.Delivered.Consumer > n:
		return false, nil
	}
	return !t.listing.end(), nil
}

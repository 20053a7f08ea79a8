package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Troubles lists what stands between this process and its queue, the oldest
// first: a lost connection, what the server refused within the last minute, clocks
// that are apart, and what has been tried for 5 s and more without success.
func (c *Conn) Troubles() []Trouble { return c.troubles.list(time.Now()) }

// Alive fails when the connection was closed for good, which no wait can cure:
// the process must be started again.
func (c *Conn) Alive() error {
	if c.nc.IsClosed() {
		return errors.New("the connection to NATS is closed and will not be opened again")
	}
	return nil
}

// How often the streams are asked after, and how soon again when one did not
// answer.
const (
	attendEvery = 10 * time.Second
	attendAgain = 2 * time.Second
)

// Attend asks after every stream and bucket until ctx ends, so that Troubles
// knows of a connection that stands while JetStream behind it does not answer,
// also when there is nothing to do.
func (c *Conn) Attend(ctx context.Context) { c.attend(ctx, attendEvery, attendAgain) }

func (c *Conn) attend(ctx context.Context, every, again time.Duration) {
	for {
		wait := every
		if c.Connected() && slices.ContainsFunc(c.visit(ctx), func(v visited) bool { return v.err != nil }) {
			wait = again
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// visited is what a stream said, asked after.
type visited struct {
	name   string
	stream jetstream.Stream
	err    error
}

// visit asks after all streams at once, those of the buckets too.
func (c *Conn) visit(ctx context.Context) []visited {
	names := c.StreamNames()
	for _, bucket := range c.BucketNames() {
		names = append(names, bucketStream(bucket))
	}
	var all sync.WaitGroup
	seen := make([]visited, len(names))
	for i, name := range names {
		all.Go(func() {
			began := time.Now()
			stream, err := c.js.Stream(ctx, name)
			seen[i] = visited{name, stream, err}
			if err == nil {
				c.clock.saw(stream.CachedInfo().TimeStamp, began, time.Now())
				c.holdings.note(c.prefix, name, stream.CachedInfo().State)
			}
			if !errors.Is(ctx.Err(), context.Canceled) {
				c.tried(asking(name), "", began, err)
			}
		})
	}
	all.Wait()
	c.compareClocks()
	return seen
}

// asking names the asking after a stream, to the log and to Troubles.
func asking(stream string) string { return "stream " + stream }

// tried notes how a try ended. id tells the things of one kind that are tried at
// once from each other.
func (c *Conn) tried(what, id string, began time.Time, err error) {
	now, t := time.Now(), try{what, id}
	switch {
	case err == nil:
		if c.troubles.worked(t, now) {
			c.log.Info("nats works again", "what", what)
		}
	case hopeless(err) || errors.Is(err, context.Canceled):
		c.troubles.forget(t)
	default:
		if s, say := c.troubles.failed(t, began, now, plainly(err)); say {
			v := verdictOf(err, c.troubles.denied())
			c.log.Warn("nats does not take what is sent, or does not answer; trying on",
				"what", what, "code", v.code, "do", v.text, "waiting", s.stuck, "for", now.Sub(s.since).Round(time.Second).String(), "tries", s.tries, "error", reasonOf(err))
		}
	}
}

// reported notes an error that the server told unasked.
func (c *Conn) reported(err error) {
	if verb, subject, ok := deniedBy(err); ok {
		c.denials.add(&Denied{verb, subject})
		if c.sparable(subject) {
			return // who asked tells the log
		}
	}
	if unsaid, say := c.troubles.reported(publicly(err), time.Now()); say {
		c.log.Error("nats error", "error", reasonOf(err), "unsaid", unsaid)
	}
}

// lost notes that the connection is away, and found that it stands again.
func (c *Conn) lost(err error) {
	if since, say := c.troubles.disconnected(time.Now()); say {
		c.log.Warn("nats disconnected", "error", reasonOf(err), "for", time.Since(since).Round(time.Second).String())
	}
}

func (c *Conn) found(server string) {
	since := c.troubles.connected()
	c.log.Info("nats reconnected", "server", server, "after", time.Since(since).Round(time.Millisecond).String())
}

// publicly is what may be shown of an error that the server told unasked.
func publicly(err error) string {
	verb, subject, ok := deniedBy(err)
	if !ok {
		return plainly(err)
	}
	return noPermission + verb + " " + family(subject)
}

const noPermission = "no permission to "

// family cuts a subject off before the destination or job id that it may hold.
func family(subject string) string {
	tokens := strings.Split(subject, ".")
	keep := 2 // our own prefix and the kind; or $KV and its bucket
	switch {
	case strings.HasPrefix(subject, "_"):
		keep = 1 // an inbox
	case strings.HasPrefix(subject, "$JS.ACK."):
		keep = 2
	case strings.HasPrefix(subject, "$JS."):
		keep = 5 // at most up to the name of the stream
	}
	if len(tokens) <= keep {
		return subject
	}
	return strings.Join(tokens[:keep], ".") + ".>"
}

// plainly says why a try failed, in words that may be shown to anybody.
func plainly(err error) string {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrReconnectBufExceeded):
		return "not connected"
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return "nobody answers: JetStream is off, or the stream is missing"
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time: no leader, no permission, or an overloaded server"
	}
	for _, known := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSlowConsumer, nats.ErrStaleConnection, nats.ErrMaxSubscriptionsExceeded,
		nats.ErrMaxConnectionsExceeded, nats.ErrMaxAccountConnectionsExceeded,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
		return fmt.Sprintf("JetStream error %d: %s", api.ErrorCode, wordsOf(api))
	}
	return "an error that the log names"
}

// wordsOf are the server's words for the errors of a store that is full, away
// or off, which hold nothing of a message.
func wordsOf(api *jetstream.APIError) string {
	switch api.ErrorCode {
	case jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount, jetstream.JSErrCodeStreamNotFound,
		codeAccountLimits, codeClusterAway, codeResources, codeStorage, codeStoreFailed:
		return reasonOf(errors.New(api.Description))
	}
	return "see the log"
}

// NATS: the server's list of error codes.
const (
	codeAccountLimits = 10002
	codeClusterAway   = 10008
	codeResources     = 10023
	codeStorage       = 10047
	codeStoreFailed   = 10077
)

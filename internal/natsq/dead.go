package natsq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
	"github.com/chartpost/chartpost/worker"
)

// headerSize is what JetStream adds where it leaves the content out.
const headerSize = "Nats-Msg-Size"

// Job names the job; its ID is empty where none could be read.
func (l Letter) Job() schemas.JobKey { return schemas.KeyOf(l.Lane, l.JobID) }

// Letter is a dead letter without its content.
type Letter struct {
	// Sequence and Buried, the server's time of it, name the letter.
	Sequence uint64
	Buried   time.Time
	Lane     schemas.Lane
	// JobID, Status and Reason are empty where the job was too large for headers
	// beside it, and JobID where none could be read.
	JobID string
	// After is the job of the same destination that this one comes after, if it names
	// one.
	After             string
	Status            schemas.Status
	Reason            schemas.Reason
	PossibleDuplicate bool
	// Size is that of the job, in bytes.
	Size int
	// Key is the one under which it was buried.
	Key string
	// Line is the line of the backfill run that published the copy, if one did.
	Line worker.Line
	// ReplayID is the Nats-Msg-Id under which the job is published again; empty where the
	// job was too large for headers beside it. Only workers and operators can read it.
	ReplayID string
	// Trace is that of the job, for what is published of it next.
	Trace schemas.Trace
}

// Letters calls each for every dead letter there is, the oldest first, until
// each returns false.
func (c *Conn) Letters(ctx context.Context, each func(Letter) bool) error {
	l := &lettersListing{conn: c, each: each}
	t := &tail{
		conn: c, stream: c.stream(dead), what: "the dead letters",
		config: func() jetstream.ConsumerConfig {
			return jetstream.ConsumerConfig{
				FilterSubject: c.prefix + ".dead.>", DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true,
			}
		},
		listing: l, each: l.take,
	}
	if err := t.run(ctx, func() error { return nil }); err != nil {
		return err
	}
	if !l.complete {
		return fmt.Errorf("listing the dead letters: %w", context.Cause(ctx))
	}
	return nil
}

// lettersListing is where a listing of the dead letters has come to.
type lettersListing struct {
	conn     *Conn
	each     func(Letter) bool
	seen     uint64
	complete bool
}

func (l *lettersListing) begin(waiting uint64) bool { return waiting > 0 || l.end() }
func (l *lettersListing) listing() bool             { return true }
func (l *lettersListing) end() bool                 { l.complete = true; return false }

func (l *lettersListing) take(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
	l.complete = meta.NumPending == 0
	if meta.Sequence.Stream <= l.seen { // told before the connection was lost
		return !l.complete
	}
	l.seen = meta.Sequence.Stream
	if letter, ok := l.conn.letter(msg, meta); ok && !l.each(letter) {
		l.complete = true
	}
	return !l.complete
}

func (c *Conn) letter(msg jetstream.Msg, meta *jetstream.MsgMetadata) (Letter, bool) {
	tail, ok := strings.CutPrefix(msg.Subject(), c.prefix+".dead.")
	lane, err := schemas.ParseTail(tail)
	if !ok || err != nil {
		return Letter{}, false // somebody else's
	}
	header := msg.Headers()
	size, _ := strconv.Atoi(header.Get(headerSize))
	return Letter{
		Sequence: meta.Sequence.Stream, Buried: meta.Timestamp.UTC(), Lane: lane, Size: size, Key: header.Get(jetstream.MsgIDHeader),
		JobID: header.Get(HeaderJobID), After: header.Get(HeaderAfter), Status: schemas.Status(header.Get(HeaderStatus)),
		Reason: schemas.Reason{
			Kind: header.Get(HeaderReasonKind), Code: header.Get(HeaderReasonCode),
			Text: header.Get(HeaderReasonText), Path: header.Get(HeaderReasonPath),
		},
		PossibleDuplicate: header.Get(HeaderDuplicate) == "true", Line: lineIn(header), Trace: traceOf(header), ReplayID: header.Get(HeaderReplayID),
	}, true
}

// ErrNoLetter is the end of a dead letter that somebody has removed.
var ErrNoLetter = errors.New("the dead letter is not there any more")

// Content reads the job of a dead letter as it came.
func (c *Conn) Content(ctx context.Context, letter Letter) (data []byte, err error) {
	err = retry.Do(ctx, unburied, func(ctx context.Context) error {
		msg, err := c.fromLeader(ctx, c.stream(dead), leaderGet{Sequence: letter.Sequence})
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && !msg.Time.Equal(letter.Buried) {
			return ErrNoLetter
		}
		if err == nil {
			data = msg.Data
		}
		return err
	})
	return data, err
}

// Remove deletes a dead letter. One that is gone is as good.
func (c *Conn) Remove(ctx context.Context, letter Letter) error {
	return retry.Do(ctx, hopeless, func(ctx context.Context) error {
		return c.removeStored(ctx, c.stream(dead), letter.Sequence, letter.Buried)
	})
}

func unburied(err error) bool { return errors.Is(err, ErrNoLetter) || hopeless(err) }

package natsq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/fault"
	"github.com/chartpost/chartpost/internal/intake"
	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// Submissions publishes the jobs of the intake, each once.
type Submissions struct{ conn *Conn }

var _ intake.Queue = Submissions{}

// Submissions gives the publishing side of the intake.
func (c *Conn) Submissions() Submissions { return Submissions{c} }

// publishAnswer is how long one publish waits for its confirmation.
const publishAnswer = 5 * time.Second

// Publish implements intake.Queue. The library sends a message again only where no server
// takes it at all, which stores nothing.
func (s Submissions) Publish(ctx context.Context, lane schemas.Lane, claim intake.Claim, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishAnswer)
	defer cancel()
	msg := traced(ctx, schemas.JobSubject(s.conn.prefix, lane))
	msg.Header.Set(jetstream.MsgIDHeader, claim.Token)
	msg.Data = data
	began := time.Now()
	ack, err := s.conn.js.PublishMsg(ctx, msg)
	s.conn.tried("publishing jobs", "", began, err)
	switch {
	case err == nil && ack.Duplicate:
		// Only this claim's message has the token: it is stored, and was sent twice on the way.
		return nil
	case err == nil && s.conn.tookIt(ack, jobs) != nil:
		return s.notStored(errOtherStream)
	case err == nil:
		return nil
	case refusedByQueue(err):
		return s.notStored(err)
	}
	return s.conn.judged(err)
}

// refusedByQueue reports whether an error says that nothing was stored: the stream said
// no, no server takes the subject, or nothing was sent.
func refusedByQueue(err error) bool {
	_, answered := errors.AsType[*jetstream.APIError](err)
	return answered || hopeless(err) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting)
}

func (s Submissions) notStored(err error) error {
	f := fault.Of(s.conn.judged(err))
	told := *f
	told.Cause = fmt.Errorf("%w: %w", intake.ErrNotStored, err)
	return &told
}

// A claim's job was stored between claimSkew before the claim and claimSpan after it. Two
// servers of a cluster tell the two times: their clocks are less than claimSkew apart. A
// job is published within ten seconds of its claim, and has publishAnswer to be stored.
const (
	claimSkew = 2 * time.Second
	claimSpan = 10*time.Second + publishAnswer + claimSkew
)

// Holds implements intake.Queue. It reads the lane from shortly before the claim was made
// to when its job can have been published at the latest: what was stored later is not
// looked at. A job comes right behind its claim, so that what was stored before is read last:
// one in a busy lane is found by a few reads.
func (s Submissions) Holds(ctx context.Context, lane schemas.Lane, claim intake.Claim) (bool, error) {
	held, err := s.among(ctx, lane, claim, claim.Made, claim.Made.Add(claimSpan))
	if held || err != nil {
		return held, err
	}
	return s.among(ctx, lane, claim, claim.Made.Add(-claimSkew), claim.Made)
}

// among looks for the message of a claim among those that a lane got from a time to another.
func (s Submissions) among(ctx context.Context, lane schemas.Lane, claim intake.Claim, from, until time.Time) (bool, error) {
	get := leaderGet{NextOf: schemas.JobSubject(s.conn.prefix, lane), Since: &from}
	for {
		msg, err := s.conn.find(ctx, jobs, get)
		if msg == nil || err != nil {
			return false, err
		}
		if msg.Header.Get(jetstream.MsgIDHeader) == claim.Token {
			return true, nil
		}
		if msg.Time.After(until) {
			return false, nil
		}
		get = leaderGet{NextOf: get.NextOf, Sequence: msg.Sequence + 1}
	}
}

// Depth implements intake.Queue.
func (s Submissions) Depth(ctx context.Context, lane schemas.Lane) (waiting uint64, err error) {
	subject := schemas.JobSubject(s.conn.prefix, lane)
	err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
		stream, err := s.conn.js.Stream(ctx, s.conn.stream(jobs))
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err == nil {
			waiting = info.State.Subjects[subject]
		}
		return err
	})
	return waiting, err
}

package natsq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// JobCopy is a copy of a job in the queue: one in its lane, or the schedule that
// brings one back.
type JobCopy struct {
	Sequence uint64
	Stored   time.Time
	Lane     schemas.Lane
	// Attempt is the one that the copy is to start, 0 for a publisher's copy; At is
	// when a schedule brings it, zero for a copy that is in its lane.
	Attempt int
	At      time.Time
	// RequestedAt and ExpiresAt are the job's own; zero where it cannot be
	// understood.
	RequestedAt, ExpiresAt time.Time
	// After is the job of the same destination that must be accepted first, if one must.
	After string
}

// Scheduled finds the schedule that brings a job back; nil where there is none.
func (c *Conn) Scheduled(ctx context.Context, key schemas.JobKey) (*JobCopy, error) {
	msg, err := c.find(ctx, dueJobs, leaderGet{LastOf: schemas.LaterSubject(c.prefix, key)})
	if msg == nil || err != nil {
		return nil, err
	}
	at, ok := dueAt(msg.Header)
	if !ok {
		return nil, nil // not a schedule
	}
	target := strings.Replace(msg.Header.Get(jetstream.ScheduleTargetHeader), c.prefix+".due.", c.prefix+".jobs.", 1)
	copied := c.copyOf(msg, target)
	copied.At, copied.Attempt = at, scheduledAttempt(msg.Header)
	return &copied, nil
}

// Held finds the copy that was stored with a sequence at a time; nil where it is
// gone.
func (c *Conn) Held(ctx context.Context, sequence uint64, stored time.Time) (*JobCopy, error) {
	msg, err := c.find(ctx, jobs, leaderGet{Sequence: sequence})
	if msg == nil || err != nil || !msg.Time.Equal(stored) {
		return nil, err
	}
	copied := c.copyOf(msg, msg.Subject)
	return &copied, nil
}

// Waiting looks for a job among the oldest copies in the lanes of its destination, a
// request for each, and stops after most of them; looked is how many it read. It is
// for a job that no worker has taken yet, of which nothing else knows. A key without
// a destination looks in all lanes.
func (c *Conn) Waiting(ctx context.Context, key schemas.JobKey, most int) (found *JobCopy, looked int, err error) {
	return c.WaitingBehind(ctx, key, 0, most)
}

// WaitingBehind is Waiting for copies that were stored behind a sequence.
func (c *Conn) WaitingBehind(ctx context.Context, key schemas.JobKey, sequence uint64, most int) (found *JobCopy, looked int, err error) {
	get := leaderGet{NextOf: c.prefix + ".jobs.*." + orAny(schemas.Token(key.Destination)), Sequence: sequence + 1}
	for ; looked < most; looked++ {
		msg, err := c.find(ctx, jobs, get)
		if msg == nil || err != nil {
			return nil, looked, err
		}
		get.Sequence = msg.Sequence + 1
		if idOfJob(msg) == key.ID {
			copied := c.copyOf(msg, msg.Subject)
			return &copied, looked + 1, nil
		}
	}
	return nil, looked, nil
}

// idOfJob is the id as far as it can be read, whatever else is wrong with the job.
func idOfJob(msg *jetstream.RawStreamMsg) string {
	job, err := schemas.DecodeJob(msg.Data)
	if invalid, ok := errors.AsType[*schemas.Invalid](err); ok {
		return invalid.JobID
	}
	return job.ID
}

// find reads a message of a stream; nil where there is none.
func (c *Conn) find(ctx context.Context, stream string, get leaderGet) (msg *jetstream.RawStreamMsg, err error) {
	none := func(err error) bool { return errors.Is(err, jetstream.ErrMsgNotFound) || hopeless(err) }
	err = retry.Do(ctx, none, func(ctx context.Context) error {
		msg, err = c.fromLeader(ctx, c.stream(stream), get)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a job: %w", err)
	}
	return msg, nil
}

func (c *Conn) copyOf(msg *jetstream.RawStreamMsg, subject string) JobCopy {
	copied := JobCopy{Sequence: msg.Sequence, Stored: msg.Time.UTC()}
	if lane, err := schemas.ServedLane(c.prefix, subject); err == nil {
		copied.Lane = lane
		copied.Attempt = c.originOf(msg.Header).attemptOf(schemas.KeyOf(lane, idOfJob(msg)))
	}
	if job, err := schemas.DecodeJob(msg.Data); err == nil {
		copied.RequestedAt, copied.ExpiresAt, copied.After = job.RequestedAt.UTC(), job.Deadline().UTC(), job.After
	}
	return copied
}

// scheduledAttempt is the attempt that the job of a schedule is to start.
func scheduledAttempt(header nats.Header) int {
	var n int
	if _, err := fmt.Sscan(header.Get(HeaderAttempt), &n); err != nil {
		return 0
	}
	return max(n, 0)
}

// KeysOf gives the jobs of an id that the ledger has records of, or that wait for
// their next attempt.
func (c *Conn) KeysOf(ctx context.Context, id string) ([]schemas.JobKey, error) {
	var keys []schemas.JobKey
	for _, in := range []struct{ stream, before string }{
		{bucketStream(c.stream(ledger)), "$KV." + c.stream(ledger) + "."},
		{c.stream(dueJobs), c.prefix + ".later."},
	} {
		err := retry.Do(ctx, hopeless, func(ctx context.Context) error {
			stream, err := c.js.Stream(ctx, in.stream)
			if err != nil {
				return err
			}
			info, err := stream.Info(ctx, jetstream.WithSubjectFilter(in.before+"*."+id))
			if err != nil {
				return err
			}
			for subject := range info.State.Subjects {
				if key, err := schemas.ParseJobTokens(strings.TrimPrefix(subject, in.before)); err == nil && !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("looking for the destinations of a job: %w", err)
		}
	}
	return keys, nil
}

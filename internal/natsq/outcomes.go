package natsq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/chartpost/chartpost/internal/retry"
	"github.com/chartpost/chartpost/schemas"
)

// outcomes is the bucket of the follower of outcomes, without its prefix. It is there
// only where outcomes are followed.
const outcomes = "OUTCOMES"

// SetupOutcomes makes the bucket in which the follower of outcomes keeps what it waits
// for, or changes its age. dry only says what would be done.
func (c *Conn) SetupOutcomes(ctx context.Context, replicas int, age time.Duration, dry bool) (Change, error) {
	cfg := bucketConfig(c.stream(outcomes), "Chartpost: accepted messages whose outcome is awaited", age, replicas)
	cfg.DenyDelete = false // see OutcomeBucket.Remove
	change, err := c.ensureStream(ctx, cfg, dry)
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", titleOf(cfg.Name), err)
	}
	return change, nil
}

// ErrNoOutcomes says that outcomes are not followed here: there is no bucket for it.
var ErrNoOutcomes = errors.New("outcomes are not followed here; chartpost outcome setup makes the bucket for it")

// OutcomeBucket is what the follower of outcomes keeps.
type OutcomeBucket struct {
	conn   *Conn
	bucket jetstream.KeyValue
}

// Outcomes opens the bucket. ErrNoOutcomes says that there is none.
func (c *Conn) Outcomes(ctx context.Context) (*OutcomeBucket, error) {
	bucket, err := c.bucket(ctx, c.stream(outcomes))
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, ErrNoOutcomes
	}
	if err != nil {
		return nil, err
	}
	return &OutcomeBucket{conn: c, bucket: bucket}, nil
}

// All calls each for every record whose key begins with prefix.
func (b *OutcomeBucket) All(ctx context.Context, prefix string, each func(key string, value []byte, revision uint64)) error {
	r := &reading{
		conn: b.conn, what: "the bucket of outcomes", filters: []string{b.subject(prefix + ">")},
		each: func(msg jetstream.Msg, meta *jetstream.MsgMetadata) bool {
			if value := valueOf(msg.Headers(), msg.Data()); value != nil {
				each(strings.TrimPrefix(msg.Subject(), b.subject("")), value, meta.Sequence.Stream)
			}
			return true
		},
	}
	return r.runIn(ctx, bucketStream(b.conn.stream(outcomes)))
}

func (b *OutcomeBucket) subject(key string) string { return "$KV." + b.bucket.Bucket() + "." + key }

// Get gives a record; ok is false where there is none.
func (b *OutcomeBucket) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	msg, err := b.conn.fromLeader(ctx, bucketStream(b.bucket.Bucket()), leaderGet{LastOf: b.subject(key)})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = valueOf(msg.Header, msg.Data)
	return value, value != nil, nil
}

// Write replaces the record of a revision, 0 for none, and tries for a while. done is
// false where somebody else has written it. A write whose answer was lost is recognized
// by its value.
func (b *OutcomeBucket) Write(ctx context.Context, key string, value []byte, revision uint64) (next uint64, done bool, err error) {
	record := cell{bucket: b.bucket, key: key}
	tried := false
	err = retry.Do(ctx, hopeless, func(ctx context.Context) error {
		var err error
		if next, done, err = record.Write(ctx, value, revision); err != nil || done || !tried {
			tried = tried || err != nil
			return err
		}
		found, at, _, err := record.Read(ctx)
		if err == nil && string(found) == string(value) {
			next, done = at, true
		}
		return err
	})
	return next, done, err
}

// Remove deletes the record of a revision, without a mark in its place: each key of a
// bucket costs the server memory, and a mark as much as a record.
func (b *OutcomeBucket) Remove(ctx context.Context, revision uint64) error {
	name := bucketStream(b.bucket.Bucket())
	return retry.Do(ctx, hopeless, func(ctx context.Context) error {
		_, err := b.conn.fromLeader(ctx, name, leaderGet{Sequence: revision})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		stream, err := b.conn.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		return stream.DeleteMsg(ctx, revision)
	})
}

// Tenure says which of several followers works.
type Tenure struct{ tenure *tenure }

// Tenure gives the bucket's. name is no other follower's. term is how long the tenure
// of a follower that dies lasts, the same for all of them.
func (b *OutcomeBucket) Tenure(name string, term time.Duration) *Tenure {
	return &Tenure{&tenure{conn: b.conn, bucket: b.bucket.Bucket(), key: tenureKey, name: name, term: term}}
}

// Hold takes the tenure and keeps it until ctx ends, and calls work each time that it
// was taken, with a context that ends when it is lost. It returns what work does, where
// that is an error, once ctx has ended.
func (t *Tenure) Hold(ctx context.Context, work func(context.Context) error) error {
	for ctx.Err() == nil {
		mine, err := t.tenure.take(ctx)
		t.tenure.conn.tried("taking the tenure of outcomes", "", time.Now(), err)
		if !mine {
			pause(ctx, t.tenure.term/8)
			continue
		}
		if err := t.serve(ctx, work); err != nil {
			return err
		}
	}
	return nil
}

// Mine reports whether it is held now.
func (t *Tenure) Mine() bool { return t.tenure.mine(time.Now()) }

func (t *Tenure) serve(ctx context.Context, work func(context.Context) error) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		defer stop()
		for t.Mine() && working.Err() == nil {
			pause(working, t.tenure.term/4)
			if working.Err() == nil && t.tenure.left(time.Now()) < t.tenure.term*3/4 {
				_, err := t.tenure.take(working)
				t.tenure.conn.tried("taking the tenure of outcomes", "", time.Now(), err)
			}
		}
	}()
	err := work(working)
	stop()
	<-renewed
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTimeout)
	defer cancel()
	t.tenure.resign(leaving)
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// EventCounts are how many events of each status there are by lane, as long as events
// are kept.
func (c *Conn) EventCounts(ctx context.Context, of EventSelection) (map[schemas.Lane]map[schemas.Status]uint64, error) {
	counts := map[schemas.Lane]map[schemas.Status]uint64{}
	for _, subject := range of.subjects(c.prefix) {
		stream, err := c.js.Stream(ctx, c.stream(events))
		if err != nil {
			return nil, err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return nil, err
		}
		for name, n := range info.State.Subjects {
			tail, ok := strings.CutPrefix(name, c.prefix+".events.")
			at := strings.LastIndexByte(tail, '.')
			if !ok || at < 0 {
				continue
			}
			lane, err := schemas.ParseTail(tail[:at])
			if err != nil {
				continue
			}
			if counts[lane] == nil {
				counts[lane] = map[schemas.Status]uint64{}
			}
			counts[lane][schemas.Status(tail[at+1:])] += n
		}
	}
	return counts, nil
}

// EventAt gives the event of a sequence; ok is false where it is gone.
func (c *Conn) EventAt(ctx context.Context, sequence uint64) (e StoredEvent, ok bool, err error) {
	e, err = c.event(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, errNoEvent) {
		return e, false, nil
	}
	return e, err == nil, err
}
